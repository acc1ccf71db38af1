/* The viewer: one position of a Sampling in three views that move together.
 *
 * It is fed with views, as `deformviz.viewer.scene` makes them: the picture comes first, and the
 * numbers follow as one binary file. From then on nothing asks the server: hover, pin, morph,
 * layers and formula are computed here.
 */

import { About } from './about.js';
import { act } from './actions.js';
import { clamp, number, shape } from './dom.js';
import { Comparison } from './comparison.js';
import { Controls } from './controls.js';
import { Follow } from './follow.js';
import { nearest, paintOverlays } from './layers.js';
import { Hands } from './hands.js';
import { Loader } from './loading.js';
import { Pane } from './pane.js';
import { LayerPicker } from './picker.js';
import { Play } from './play.js';
import { Readers, whoReads } from './readers.js';
import { writeRun } from './runs.js';
import { Scene } from './scene.js';
import { Side } from './side.js';
import { firstState, matrixOf, stateQuery, unmoved } from './state.js';
import { t } from './words.js';

const LAYERS = ['arrows', 'over', 'tap', 'group', 'palette', 'output_channel'];

export class Viewer {
  /** @param root the element of viewer.html. */
  constructor(root) {
    this.root = root;
    this.share = () => {}; // is told the link's query, whenever the state has changed
    this.state = firstState();
    this.edit = unmoved();
    this.a = this.makeSide('a');
    this.b = null;
    this.comparison = new Comparison(this);
    this.output = new Pane(root.querySelector('.dv-output .dv-pane'));
    this.marker = shape('rect', { class: 'dv-marker' }, this.output.overlay);
    this.readers = new Readers(this.output.shade);
    this.controls = new Controls(root, (change) => this.set(change), (name) => act(this, name));
    this.about = new About(this);
    this.hands = new Hands(this);
    this.play = new Play(this);
    this.loader = new Loader(this);
    this.follow = new Follow(this);
    this.picker = new LayerPicker(this);
    this.drawing = Promise.resolve();
    this.listen();
  }

  part(name) { return this.root.querySelector(`[data-part="${name}"]`); }

  makeSide(name) {
    const find = (selector) => this.root.querySelector(selector);
    const side = new Side({
      figure: find(`figure[data-side="${name}"]`),
      image: find(`figure[data-side="${name}"] .dv-pane`),
      kernel: find(`.dv-kernel-box[data-side="${name}"]`),
      terms: find(`[data-terms="${name}"]`),
    }, (...event) => this.hands.onTap(...event));
    side.image.onMoved = () => this.onZoom(side);
    side.kernel.onMoved = () => this.drawPosition();
    side.image.onHover((place) => this.hoverImage(side, place));
    side.image.onClick((place) => this.pin(...side.scene.positionAt(...place)));
    return side;
  }

  get sides() { return this.b?.scene ? [this.a, this.b] : [this.a]; }

  // --- views ---------------------------------------------------------------------------------

  /** Draw a view, or one of several `layers`; those overtaken while they waited are skipped. */
  show(value) {
    const view = this.picker.take(value);
    this.next = view;
    const draw = () => { if (this.next === view) return this.draw(view); return null; };
    this.drawing = this.drawing.then(draw, draw);
    return this.drawing;
  }

  async draw(view) {
    const given = Boolean(view.state);
    if (given) this.state = { ...firstState(), ...view.state };
    this.a.image.prepare(view.grounds.image); // both are loaded while the rest is set up
    this.output.prepare(view.grounds.output);
    const before = this.a.scene;
    const scene = this.sceneOf(view);
    this.place(before, scene, given);
    writeRun(this, view);
    this.controls.offer(scene);
    this.follow.offer(scene);
    this.picker.show();
    if (view.kept) this.comparison.show(true); // first: its zoom is that of half the width
    await Promise.all([
      this.a.image.draw(view.grounds.image, given ? this.state.zoom : undefined),
      (this.sides.length === 1 || before?.h !== scene.h || before?.w !== scene.w) && this.output.draw(view.grounds.output),
    ]);
    this.drawAll();
    this.root.dataset.view = view.id;
    this.root.classList.remove('dv-waiting');
    if (view.kept) await this.comparison.keep(view.kept);
    if (scene !== before) this.loader.load(this.a);
    if (this.state.sweep) this.play.sweep(true);
  }

  /** The scene of a view: the one that is shown already, where the run is the same. */
  sceneOf(view) {
    const { scene } = this.a;
    if (scene && scene.view.data.id === view.data.id) return Object.assign(scene, { view });
    const found = new Scene(view);
    if (view.data.tensors) found.attach(view.data.tensors); // they were brought before
    this.a.reset(found);
    return found;
  }

  /** Keep the pin on its place of the image when the output's size changes. */
  place(before, scene, given) {
    const { state } = this;
    if (before && !given && (before.h !== scene.h || before.w !== scene.w)) {
      [state.y, state.x] = scene.positionAt(...before.groundOf(state.y, state.x));
    }
    state.y = clamp(state.y ?? Math.floor(scene.h / 2), 0, scene.h - 1);
    state.x = clamp(state.x ?? Math.floor(scene.w / 2), 0, scene.w - 1);
    if (state.over !== 'none' && !scene.view.overlays.includes(state.over)) state.over = 'none';
    for (const name of ['output', 'input']) {
      const [key, most] = [`${name}_channel`, scene.view.channels[name].length - 1];
      if (state[key] !== null) state[key] = clamp(state[key], 0, Math.max(most, 0));
    }
    Object.assign(state, { tap: Math.min(state.tap, scene.K - 1), group: Math.min(state.group, scene.G - 1) });
    if (before !== scene) this.edit = unmoved();
  }

  // --- drawing -------------------------------------------------------------------------------

  drawAll() {
    this.drawLayers();
    this.drawPosition();
    this.controls.show(this.state, this.edit, this.a.scene);
    this.about.draw();
  }

  drawLayers() {
    const scenes = this.sides.map((side) => side.scene);
    const states = this.sides.map((side) => nearest(side.scene, side.state ?? this.state));
    paintOverlays(scenes, states).forEach((painted, i) => {
      this.sides[i].image.lay(painted, painted && scenes[i].box(painted.ofInput));
      this.drawArrows(this.sides[i]);
    });
    this.root.dataset.layers = JSON.stringify(states.map(({ over, tap, group }) => ({ over, tap, group })));
    if (this.sides.length === 2) this.comparison.drawDifference();
    else this.output.lay(null);
  }

  /** A side's arrows: of its own layers, all as far on their way as the slider says. */
  drawArrows(side) {
    side.drawArrows({ ...nearest(side.scene, side.state ?? this.state), morph: this.state.morph });
  }

  /** Draw the position in all views. */
  drawPosition() {
    const { state } = this;
    if (!this.a.scene || !this.a.image.drawn) return;
    this.sides.forEach((side) => {
      const [y, x] = side === this.a ? [state.y, state.x]
        : side.scene.positionAt(...this.a.scene.groundOf(state.y, state.x));
      const reading = side.scene.reading(y, x);
      if (!reading) return this.wait(side);
      const change = { morph: state.morph, matrix: matrixOf(this.edit), dragged: this.edit.dragged };
      return side.draw(reading.move(change), state);
    });
    this.follow.draw();
    this.mark();
    this.about.drawPosition();
    this.controls.showPosition(state);
    this.root.dataset.position = `${state.y}, ${state.x}`;
    this.root.classList.toggle('dv-held', state.pinned);
    this.tellState();
  }

  wait(side) {
    side.formula.wait(t('The offsets are on their way: the position shows when they are here.'));
  }

  mark() {
    if (!this.output.drawn) return;
    const [y, x] = this.output.toScreen(this.state.y, this.state.x);
    const side = Math.max(this.output.scale, 9);
    const box = { x: x - side / 2, y: y - side / 2, width: side, height: side };
    for (const [name, value] of Object.entries(box)) this.marker.setAttribute(name, value);
    this.marker.classList.toggle('dv-pinned', this.state.pinned);
  }

  onZoom(side) {
    if (!side.scene || !side.image.drawn) return;
    this.comparison.follow(side);
    if (side === this.a) this.state.zoom = zoomToShare(side.image);
    this.drawArrows(side);
    this.drawPosition();
  }

  // --- what a person does --------------------------------------------------------------------

  listen() {
    this.output.onMoved = () => this.mark();
    this.output.onHover((place) => this.hoverOutput(place));
    this.output.onClick((place) => this.pin(...this.onOutput(place)));
    for (const pane of this.root.querySelectorAll('.dv-pane')) {
      pane.addEventListener('keydown', (event) => this.hands.onKey(event));
    }
  }

  onOutput([y, x]) {
    const { h, w } = this.a.scene;
    return [clamp(Math.round(y), 0, h - 1), clamp(Math.round(x), 0, w - 1)];
  }

  hoverImage(side, place) {
    if (!side.scene) return;
    if (!place) { this.showReaders(side, null); return; }
    this.play.sweep(false);
    if (!this.state.pinned) {
      const [y, x] = side.scene.positionAt(...place);
      this.moveTo(...(side === this.a ? [y, x] : this.a.scene.positionAt(...side.scene.groundOf(y, x))));
    }
    this.showReaders(side, side.scene.fromImage(...place).map(Math.round));
  }

  hoverOutput(place) {
    if (!place || !this.a.scene) return;
    this.play.sweep(false);
    if (!this.state.pinned) this.moveTo(...this.onOutput(place));
  }

  /** Shade, on the output, every position of A that reads a pixel of the map. */
  showReaders(side, pixel) {
    const { scene } = this.a;
    if (side !== this.a) return;
    const found = pixel ? scene.readers(...pixel) : [];
    this.readers.show(scene, found, this.output);
    this.root.dataset.readers = pixel ? `${pixel.join(', ')}: ${found.length}` : '';
    if (this.sides.length === 1) this.part('output-caption').textContent = whoReads(scene, pixel, found);
  }

  moveTo(y, x) {
    const { state } = this;
    if (state.y === y && state.x === x) return;
    Object.assign(state, { y, x });
    if (this.edit.dragged.size || this.edit.scale !== 1 || this.edit.rotate || this.edit.shear) this.unmove();
    this.drawPosition();
  }

  pin(y, x) {
    this.play.sweep(false);
    this.state.pinned = true;
    this.moveTo(y, x);
    this.drawPosition();
    this.say();
  }

  free() {
    this.state.pinned = false;
    this.unmove();
    this.drawPosition();
    this.tell(t('position free'));
  }

  unmove() {
    this.edit = unmoved();
    this.controls.showEdit(this.state, this.edit);
  }

  /** For a screen reader alone. */
  tell(text) { this.part('said').textContent = text; }

  /** Tell where the pin is and what it gives. */
  say() {
    const { terms, reading } = this.a;
    if (!terms || !reading) return;
    const { y, x } = reading;
    this.tell(t('pinned y {y}, x {x}: output {total}, {count} terms', { y, x, total: number(terms.total, 4), count: terms.rows.length }) + this.follow.words);
  }

  /** A change of the state by a control. */
  set(change) {
    const edits = ['scale', 'rotate', 'shear'].filter((name) => name in change);
    for (const name of edits) this.edit[name] = change[name];
    if (edits.length) {
      this.play.sweep(false);
      this.state.pinned = true;
      this.controls.showEdit(this.state, this.edit);
      this.drawPosition();
      return;
    }
    Object.assign(this.state, change);
    const { scene } = this.a;
    this.place(scene, scene, true);
    if ('y' in change || 'x' in change) { this.unmove(); this.pin(this.state.y, this.state.x); }
    if ('morph' in change) { this.sides.forEach((side) => this.drawArrows(side)); this.drawPosition(); return; }
    if (LAYERS.some((name) => name in change)) this.drawLayers();
    this.drawPosition();
    this.controls.show(this.state, this.edit, scene);
  }

  // --- the link ------------------------------------------------------------------------------

  tellState() {
    this.root.dispatchEvent(new Event('dv-change'));
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      if (this.a.scene) this.share(this.query());
    }, 200);
  }

  /** The whole state as a link's query. */
  query() {
    const { view } = this.a.scene;
    const query = new URLSearchParams(view.query ?? '');
    for (const [name, text] of stateQuery(this.state)) query.set(name, text);
    if (this.b?.scene) {
      const kept = new URLSearchParams(this.b.scene.view.query ?? '');
      for (const [name, text] of stateQuery(this.b.state)) kept.set(name, text);
      query.set('compare', kept.toString());
    }
    return query.toString();
  }
}

/** The zoom as a link has it: null for the whole image; no smaller than a link may ask for. */
function zoomToShare(image) {
  const zoom = image.asked.map((value) => Number(value.toPrecision(7)));
  const [top, left, bottom, right] = zoom;
  return image.seesAll || bottom - top < 0.5 || right - left < 0.5 ? null : zoom;
}
