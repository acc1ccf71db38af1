/* The shade over the output: every position that reads the pixel under the pointer, in the colour
 * of the tap that reads it. Only what changed is painted again. */

import { t, tEach } from './words.js';

export class Readers {
  constructor(canvas) {
    this.canvas = canvas;
    this.touched = [];
    this.image = null;
  }

  /** @param found [{position, n, weight}] of `Scene.readers`. */
  show(scene, found, pane) {
    this.prepare(scene, pane);
    if (!this.touched.length && !found.length) return;
    const { data } = this.image;
    const before = this.touched;
    for (const position of before) data[4 * position + 3] = 0;
    this.touched = found.map(({ position }) => position);
    for (const { position, n, weight } of found) {
      const color = scene.tapColors[n];
      for (let c = 0; c < 3; c += 1) data[4 * position + c] = color[c];
      data[4 * position + 3] = Math.max(data[4 * position + 3], 110 + 145 * weight);
    }
    this.paint([...before, ...this.touched], scene.w);
  }

  prepare(scene, pane) {
    if (this.scene === scene) return;
    this.scene = scene;
    Object.assign(this.canvas, { width: scene.w, height: scene.h });
    this.image = new ImageData(scene.w, scene.h);
    this.touched = [];
    pane.boxes.set(this.canvas, [-0.5, -0.5, scene.h, scene.w]);
    pane.place();
  }

  /** Put the rows that changed on the canvas. */
  paint(positions, w) {
    let [first, last] = [Infinity, 0];
    for (const position of positions) {
      const row = Math.floor(position / w);
      first = Math.min(first, row);
      last = Math.max(last, row);
    }
    this.canvas.getContext('2d').putImageData(this.image, 0, 0, 0, first, w, last - first + 1);
  }
}

/** What the shade over the output means. */
export function whoReads(scene, pixel, found) {
  if (!pixel || !scene.ready) return tEach(scene.view.outputCaption);
  if (!scene.index) return t('looking up who reads where …');
  const positions = new Set(found.map((reader) => reader.position)).size;
  const text = positions === 1 ? '{count} position reads pixel {pixel}' : '{count} positions read pixel {pixel}';
  return t(text, { count: positions, pixel: pixel.join(', ') });
}
