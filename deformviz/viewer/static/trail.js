/* Draws where taps end, over a pane: dots in the colours of the taps that they began at, or a heat
 * map. Both are SVG, so that an export has them, and few paths, so that hundreds of points are quick. */

import { shape } from './dom.js';

const SIZES = 5; // of dots; areas go with the weights
const STEPS = 24; // of the heat's colours

export class Trail {
  /** @param pane below whose `points` it draws. */
  constructor(pane, points) {
    this.pane = pane;
    this.root = shape('g', { class: 'dv-trail' });
    pane.overlay.insertBefore(this.root, points);
    this.paths = [];
    this.used = 0;
  }

  clear() {
    this.used = 0;
    this.trim();
  }

  /** The next path to draw with: those of the last time are used again. */
  path(attributes) {
    this.paths[this.used] ??= shape('path', {}, this.root);
    const path = this.paths[this.used];
    this.used += 1;
    for (const [name, value] of Object.entries(attributes)) path.setAttribute(name, value);
  }

  trim() {
    for (const path of this.paths.splice(this.used)) path.remove();
  }

  /** From a map's pixels to the screen's: [top, left, height and width of a pixel]. */
  placing(scene) {
    const [top, left] = this.pane.toScreen(...scene.toImage(0, 0));
    const [bottom, right] = this.pane.toScreen(...scene.toImage(1, 1));
    return [top, left, bottom - top, right - left];
  }

  /** @param level of `trace`; `colors` [r, g, b] by tap. */
  drawDots({ scene, points, weights, first }, colors) {
    const [top, left, dy, dx] = this.placing(scene);
    const [, , zoomBottom, zoomRight] = this.pane.zoom;
    const [height, width] = this.pane.toScreen(zoomBottom, zoomRight); // a size asked for would cost a layout
    const most = largest(weights);
    const widest = weights.length <= 100 ? 9 : weights.length <= 2000 ? 6 : 4.5;
    const casings = new Array(SIZES).fill('');
    const dots = new Map();
    for (let i = 0; i < weights.length; i += 1) {
      const y = Math.round(10 * (top + points[2 * i] * dy)) / 10;
      const x = Math.round(10 * (left + points[2 * i + 1] * dx)) / 10;
      const weight = Math.abs(weights[i]);
      if (weight === 0 || !(y > -9 && x > -9 && y < height + 9 && x < width + 9)) continue;
      const size = Math.max(1, Math.ceil(SIZES * Math.sqrt(weight / most))) - 1;
      const dot = `M${x} ${y}h0`;
      casings[size] += dot;
      const key = first[i] * SIZES + size;
      dots.set(key, (dots.get(key) ?? '') + dot);
    }
    this.start('dots');
    const diameter = (size) => 1.5 + ((widest - 1.5) * (size + 1)) / SIZES;
    casings.forEach((d, size) => { if (d) this.draw(d, 'rgb(0 0 0 / 55%)', diameter(size) + 1.6, ''); });
    for (const [key, d] of [...dots].sort(([a], [b]) => a - b)) {
      const n = Math.floor(key / SIZES);
      this.draw(d, `rgb(${colors[n].join(' ')})`, diameter(key % SIZES), n);
    }
    this.trim();
  }

  draw(d, stroke, width, tap) {
    this.path({ d, stroke, 'stroke-width': width, 'stroke-linecap': 'round', fill: 'none', 'data-tap': tap });
  }

  /** @param level of `trace`, in exact mode: pixels of a map; the brightest is `most`. */
  drawHeat({ scene, points, weights }, most) {
    const [top, left, dy, dx] = this.placing(scene);
    const cells = new Array(STEPS).fill('');
    for (let i = 0; i < weights.length; i += 1) {
      const step = Math.round((STEPS - 1) * Math.sqrt(Math.abs(weights[i]) / most));
      if (step > 0) cells[step] += `M${points[2 * i + 1] - 0.5} ${points[2 * i] - 0.5}h1v1h-1z`;
    }
    this.start('heat');
    this.root.setAttribute('transform', `matrix(${dx} 0 0 ${dy} ${left} ${top})`);
    cells.forEach((d, step) => {
      if (d) this.path({ d, fill: heatColor(step / (STEPS - 1)), 'fill-opacity': 0.1 + (0.75 * step) / (STEPS - 1), 'shape-rendering': 'crispEdges' });
    });
    this.trim();
  }

  /** Begin a picture; paths of another kind have other attributes. */
  start(kind) {
    if (this.kind !== kind) this.clear();
    this.kind = kind;
    this.used = 0;
    if (kind === 'dots') this.root.removeAttribute('transform');
  }

  /** Light up the dots that began at one tap; null puts all out. */
  light(n) {
    this.root.classList.toggle('dv-lit', n !== null && this.kind === 'dots');
    if (this.kind !== 'dots') return;
    for (const path of this.paths) path.classList.toggle('dv-on', n !== null && path.dataset.tap === String(n));
  }
}

/** The largest magnitude, or 1 where there is none. */
export function largest(weights) {
  let most = 0;
  for (const weight of weights) most = Math.max(most, Math.abs(weight));
  return most || 1;
}

/** The colour of a part of the largest weight's square root. */
const heatColor = (part) => `rgb(${PALETTES.Plasma[Math.round(part * (PALETTES.Plasma.length - 1))].join(' ')})`;

/** The heat's colours from nothing to the most, as a CSS gradient. */
export const heatGradient = () => `linear-gradient(to right, ${[0.15, 0.4, 0.6, 0.8, 1].map(heatColor).join(', ')})`;
