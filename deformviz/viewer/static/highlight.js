/* Some positions lit up over the image and over the output, and the others dimmed. */

import { element } from './dom.js';

const LIT = [255, 52, 198];
const FEW = 225; // the opacity of few, that they are seen
const MANY_LIT = 90; // and of half of all and more, that the picture is
const DIMMED = [0, 0, 0, 120];

export class Highlight {
  /** @param image, output the panes; canvases of its own lie under their shade and points. */
  constructor(image, output) {
    this.layers = [image, output].map((pane) => {
      const canvas = element('canvas', { class: 'dv-highlight' });
      pane.shade.before(canvas);
      canvas.hidden = true;
      return { pane, canvas };
    });
    this.legend = element('div', { class: 'dv-legend dv-highlight-legend' });
    this.text = element('span');
    this.legend.append(element('i'), this.text);
    this.legend.hidden = true;
    image.clip.append(this.legend);
  }

  /**
   * @param found [rows * columns]: 1 where it is so.
   * @param size [rows, columns]; `step`, how many positions of the output one of them is long.
   * @param text what the legend says; `onOutput`, whether the output is lit, too.
   */
  show(scene, { found, size: [rows, columns], step }, text, onOutput) {
    const pixels = new Uint8ClampedArray(4 * rows * columns);
    const count = found.reduce((sum, is) => sum + is, 0);
    const lit = [...LIT, FEW + Math.min(1, (2 * count) / found.length) * (MANY_LIT - FEW)];
    if (count) found.forEach((is, i) => pixels.set(is ? lit : DIMMED, 4 * i));
    const [top, left, height, width] = scene.box(false);
    const share = [(rows * step) / scene.h, (columns * step) / scene.w]; // blocks may go beyond the end
    const boxes = [
      [top, left, height * share[0], width * share[1]],
      [-0.5, -0.5, rows * step, columns * step],
    ];
    this.layers.forEach(({ pane, canvas }, i) => {
      Object.assign(canvas, { width: columns, height: rows, hidden: i === 1 && !onOutput });
      canvas.getContext('2d').putImageData(new ImageData(pixels, columns, rows), 0, 0);
      pane.boxes.set(canvas, boxes[i]);
      if (pane.drawn) pane.placeBox(canvas, boxes[i]);
    });
    this.text.textContent = text;
    this.legend.hidden = false;
  }

  hide() {
    for (const { pane, canvas } of this.layers) {
      canvas.hidden = true;
      pane.boxes.delete(canvas);
    }
    this.legend.hidden = true;
  }
}
