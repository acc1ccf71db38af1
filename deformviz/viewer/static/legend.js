/* The legend of a layer: swatches, a wheel of directions, or a scale. */

import { element } from './dom.js';
import { directionColors } from './layers.js';
import { t } from './words.js';

/** The elements of a legend, of `layers.legendParts`. */
export function legendNodes({ title, swatches, wheel, stops, labels }) {
  const nodes = [element('div', {}, title)];
  for (const { color, text } of swatches ?? []) {
    const line = element('div', { class: 'dv-swatch' }, text);
    const box = element('i');
    box.style.background = color;
    line.prepend(box);
    nodes.push(line);
  }
  if (wheel) nodes.push(wheelNode(wheel));
  if (stops) {
    const bar = element('div', { class: 'dv-gradient' });
    bar.style.background = `linear-gradient(to right, ${stops.join(', ')})`;
    const line = element('div', { class: 'dv-labels' });
    line.append(...labels.map((text) => element('span', {}, text)));
    nodes.push(bar, line);
  }
  return nodes;
}

/** A disc whose colours are those of vectors from its centre. */
function wheelNode(palette) {
  const size = 72;
  const canvas = element('canvas', { width: size, height: size, role: 'img', 'aria-label': t('colour by direction') });
  const axis = Float32Array.from({ length: size }, (_, i) => (2 * i) / (size - 1) - 1);
  const dy = Float32Array.from({ length: size * size }, (_, i) => axis[Math.floor(i / size)]);
  const dx = Float32Array.from({ length: size * size }, (_, i) => axis[i % size]);
  const pixels = directionColors({ dy, dx }, 1, palette);
  dy.forEach((y, i) => { if (Math.hypot(y, dx[i]) > 1) pixels[4 * i + 3] = 0; });
  canvas.getContext('2d').putImageData(new ImageData(pixels, size, size), 0, 0);
  return canvas;
}
