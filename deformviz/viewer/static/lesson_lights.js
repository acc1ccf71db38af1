/* Words of a lesson that light up what they speak of, while the pointer or the focus is on them;
 * a press keeps the light on. */

import { element } from './dom.js';

const PARTS = {
  image: 'figure[data-side="a"] .dv-pane',
  output: '.dv-output .dv-pane',
  kernel: '.dv-kernels',
  formula: '.dv-terms',
  histogram: '[data-part="about"]',
  findings: '[data-part="findings"]',
  controls: '.dv-lesson-controls',
  more: '[data-part="more"]',
  tasks: '[data-lesson="tasks"]',
};

const CONTROLS = {
  overlay: '[data-part="over"]',
  arrows: 'label:has([data-control="arrowsOn"])',
  tap: '[data-for="tap"]',
  output: 'label:has([data-control="output_channel"])',
  input: 'label:has([data-control="input_channel"])',
  morph: 'label:has([data-control="morph"])',
  sweep: '[data-action="sweep"]',
  pin: '.dv-pin',
  moves: '.dv-menu:has([data-control="scale"])',
  layer: '[data-part="picker"]',
};

export class Lights {
  /** @param root the lessons' element; `viewer` the one beside them. */
  constructor(root, viewer) {
    Object.assign(this, { root, viewer, kept: null, lit: null });
  }

  /** Whether something is lit now: what the viewer then shows, the reader has not done. */
  get on() { return this.lit !== null; }

  /** A button of such words. */
  words(text, name, value) {
    const node = element('button', { type: 'button', class: 'dv-light', 'aria-pressed': 'false' }, text);
    const own = { node, name, value };
    node.addEventListener('pointerenter', (event) => { if (event.pointerType === 'mouse') this.show(own); });
    node.addEventListener('pointerleave', () => this.show(this.kept));
    node.addEventListener('focus', () => { if (node.matches(':focus-visible')) this.show(own); });
    node.addEventListener('blur', () => this.show(this.kept));
    node.addEventListener('click', () => this.keep(this.kept === own ? null : own));
    return node;
  }

  keep(own) {
    this.kept?.node.setAttribute('aria-pressed', 'false');
    own?.node.setAttribute('aria-pressed', 'true');
    this.kept = own;
    this.show(own);
    if (own) this.part(own)?.scrollIntoView({ block: 'nearest' });
  }

  /** Put all out: another step has come. */
  out() {
    this.kept = null;
    this.show(null);
  }

  show(own) {
    if (own === this.lit) return;
    if (this.lit) this.change(this.lit, false);
    this.lit = own;
    if (own) this.change(own, true);
  }

  part({ name, value }) {
    const selector = name === 'control' ? CONTROLS[value] : PARTS[name];
    return selector ? this.root.querySelector(selector) : null;
  }

  change(own, on) {
    const { name, value } = own;
    if (name === 'tap') this.viewer.a.light(on && Number(value) < (this.viewer.a.reading?.count ?? 0) ? Number(value) : null);
    else if (name === 'overlay') this.put('over', value, on);
    else if (name === 'morph') this.put('morph', Number(value), on);
    else this.part(own)?.classList.toggle('dv-lesson-lit', on);
  }

  /** Another value of the viewer's state, and back again. */
  put(name, value, on) {
    const { viewer } = this;
    if (!viewer.a.scene) return;
    if (on) this.before = viewer.state[name];
    viewer.set({ [name]: on ? value : this.before });
    viewer.controls.show(viewer.state, viewer.edit, viewer.a.scene);
  }
}
