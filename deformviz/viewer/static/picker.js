/* Which of several layers is shown. Pin, zoom and overlays stay where they are on the image. */

import { clamp, element } from './dom.js';
import { t } from './words.js';

const SEARCHED = 12; // layers, above which there is a box to search them with

export class LayerPicker {
  constructor(viewer) {
    Object.assign(this, { viewer, layers: [], found: [] });
    this.select = viewer.part('layer');
    this.search = viewer.part('layer-search');
    this.select.addEventListener('input', () => this.pick(Number(this.select.value)));
    this.search.addEventListener('input', () => this.offer());
    this.search.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && this.found.length) this.pick(this.found[0]);
    });
  }

  /** What to show of a value: the view that it is, or the one of its `layers` that it opens with. */
  take(value) {
    if (!value.layers) {
      if (!this.layers.includes(value)) {
        this.layers = [];
        this.viewer.state.layer = null;
      }
      this.show();
      return value;
    }
    this.layers = value.layers;
    this.layers.forEach((view, i) => {
      view.grounds.image ??= this.layers[0].grounds.image; // the photo comes once
      view.below ??= this.layers.slice(0, i).reverse();
    });
    this.search.value = '';
    this.shown = value.shown;
    this.offer();
    this.show();
    const view = this.layers[value.shown];
    this.viewer.state.layer = value.shown;
    return value.state ? { ...view, state: { ...value.state, layer: value.shown } } : view;
  }

  show() {
    const several = this.layers.length > 1;
    this.viewer.part('picker').hidden = !several;
    for (const node of [this.search.parentNode, this.viewer.part('layers-found')]) node.hidden = this.layers.length <= SEARCHED;
    const row = this.viewer.part('stack');
    row.hidden = !several && this.viewer.part('follow').hidden;
    this.viewer.root.classList.toggle('dv-stacked', !row.hidden);
  }

  /** Offer the layers whose name holds every word of the search, and the one that is shown. */
  offer() {
    const words = this.search.value.toLowerCase().split(/\s+/);
    const names = this.layers.map((view, i) => `${i + 1}. ${view.header.name}`);
    this.found = [...names.keys()].filter((i) => words.every((word) => names[i].toLowerCase().includes(word)));
    const offered = [...names.keys()].filter((i) => i === this.shown || this.found.includes(i));
    this.select.replaceChildren(...offered.map((i) => element('option', { value: i }, names[i])));
    this.select.value = this.shown;
    this.select.title = names[this.shown];
    this.viewer.part('layers-found').textContent = t('{count} of {all}', { count: this.found.length, all: names.length });
  }

  pick(index) {
    const { viewer } = this;
    this.shown = clamp(index, 0, this.layers.length - 1);
    this.offer();
    viewer.state.layer = this.shown;
    viewer.show(this.layers[this.shown]);
  }
}
