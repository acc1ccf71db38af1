/* The moments of runs, brought from the server: what the viewer draws of each, and the numbers of
 * the layer that is looked at. Those that were seen last are kept, up to `MOST_KEPT` bytes. */

import { loadJSON, loadTensors } from './loading.js';

const MOST_KEPT = 128 * 2 ** 20;

export class Moments {
  /** @param base where the app is mounted. */
  constructor(base) {
    Object.assign(this, { base, views: new Map(), kept: new Map() });
  }

  /** {layers, shown} of a run's moment. */
  view(run, index) {
    const key = `${run.name} ${index}`;
    if (!this.views.has(key)) this.views.set(key, this.ask(run, index));
    const coming = this.views.get(key);
    coming.catch(() => this.views.delete(key));
    return coming;
  }

  async ask(run, index) {
    const value = await loadJSON(`${this.base}/deformviz-train/${run.name}/moments/${index}`);
    window.deformviz.viewMounted(value, this.base);
    return value;
  }

  /** The same with the numbers of one layer, by its number or that which the run opens with. */
  async bring(run, index, layer) {
    const value = await this.view(run, index);
    const number = Math.min(layer ?? value.shown, value.layers.length - 1);
    const { data } = value.layers[number];
    try {
      data.tensors ??= await loadTensors(data, () => {});
    } catch (error) {
      this.views.delete(`${run.name} ${index}`); // its numbers may have new names by now
      throw error;
    }
    this.keep(data);
    return { ...value, shown: number };
  }

  /** Let go of the numbers that were looked at the longest ago. */
  keep(data) {
    this.kept.delete(data.id);
    this.kept.set(data.id, data);
    let total = 0;
    for (const each of this.kept.values()) total += each.size;
    for (const [id, old] of this.kept) {
      if (total <= MOST_KEPT || old === data) return;
      delete old.tensors;
      this.kept.delete(id);
      total -= old.size;
    }
  }

  /** Let go of a whole run. */
  drop(run) {
    for (const key of this.views.keys()) if (key.startsWith(`${run.name} `)) this.views.delete(key);
  }
}
