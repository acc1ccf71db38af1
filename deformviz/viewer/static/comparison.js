/* A view that is kept as B beside those that follow, A; and how far they differ. */

import { difference, paintDifference } from './layers.js';
import { Scene } from './scene.js';
import { t, tEach } from './words.js';

export class Comparison {
  constructor(viewer) {
    this.viewer = viewer;
    this.following = false;
  }

  /** Give the other side the zoom of the one that a person has zoomed. */
  follow(side) {
    if (this.following) return; // this one was led here
    this.following = true;
    for (const other of this.viewer.sides) {
      if (other !== side && other.image.drawn) other.image.setZoom(side.image.asked);
    }
    this.following = false;
  }

  /** Keep a view; one that a link asked for brings its own state and numbers. */
  async keep(view) {
    const { viewer } = this;
    viewer.b ??= viewer.makeSide('b');
    const own = view === viewer.a.scene.view;
    const scene = own ? viewer.a.scene : new Scene(view);
    viewer.b.state = { ...viewer.state, ...(own ? {} : view.state) }; // its own view's is what it opened with
    viewer.b.reset(scene);
    this.show(true);
    const [kh, kw] = view.header.kernel_size;
    viewer.part('name-b').textContent = `B${t(': ')}${view.called ?? t(view.header.name)}${t(', ')}${kh} × ${kw}`;
    viewer.part('name-b').title = tEach(view.status);
    await viewer.b.image.draw(view.grounds.image, viewer.a.image.asked);
    if (!scene.ready) await viewer.loader.load(viewer.b);
    viewer.drawAll();
  }

  /** End the comparison. */
  drop() {
    const { viewer } = this;
    viewer.b.scene = null;
    this.show(false);
    viewer.part('output-caption').textContent = tEach(viewer.a.scene.view.outputCaption);
    return viewer.output.draw(viewer.a.scene.view.grounds.output).then(() => viewer.drawAll());
  }

  show(on) {
    const { viewer } = this;
    viewer.root.classList.toggle('dv-comparing', on);
    for (const node of viewer.root.querySelectorAll('[data-side="b"], [data-terms="b"]')) node.hidden = !on;
    viewer.part('name-a').textContent = on ? 'A' : t('input');
    viewer.part('output-name').textContent = on ? 'A − B' : t('output');
    const button = viewer.controls.action('compare');
    button.setAttribute('aria-pressed', on);
    button.textContent = t(on ? 'end comparison' : 'compare');
  }

  /** In the place of the output: what lies over the images of both, as A − B. */
  drawDifference() {
    const { viewer } = this;
    const { a, b, state, output } = viewer;
    const found = difference(a.scene, b.scene, state);
    const { h, w } = a.scene;
    const painted = found.values ? { ...paintDifference(found), width: w, height: h } : null;
    const equal = found.values?.every((value) => value === 0);
    viewer.part('output-caption').textContent = found.problem ?? (equal ? t('equal everywhere') : found.title);
    output.lay(painted, [-0.5, -0.5, h, w]);
  }
}
