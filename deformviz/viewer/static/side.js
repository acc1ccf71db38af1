/* One scene on the screen: its image, kernel and formula. Two of them make a comparison. */

import { shape } from './dom.js';
import { Formula } from './formula.js';
import { KernelView } from './kernel.js';
import { Pane } from './pane.js';
import { drawArrows, Points } from './points.js';
import { nearest, robustTop } from './layers.js';
import { part, why } from './why.js';
import { t } from './words.js';

export class Side {
  /** @param parts {image, kernel, terms}; `tell` hears of taps: 'light' or 'grab', n, event. */
  constructor(parts, tell) {
    this.image = new Pane(parts.image);
    this.arrows = shape('g', {}, this.image.overlay);
    this.points = new Points(this.image.overlay, (...event) => tell(this, 'image', ...event));
    this.kernel = new KernelView(parts.kernel, (...event) => tell(this, 'kernel', ...event));
    this.formula = new Formula(parts.terms, (...event) => tell(this, 'formula', ...event));
    this.parts = parts;
    this.scene = null;
    this.lit = null;
    this.onLight = () => {};
  }

  /** Show another scene; its colours are the taps', or the groups' where each has one tap. */
  reset(scene) {
    this.scene = scene;
    this.reading = null;
    this.field = null;
    const { colors } = scene.view;
    const all = Array.from({ length: scene.G * scene.K }, (_, n) => (
      scene.K === 1 ? colors[n] : colors[n % scene.K]));
    scene.tapColors = all.map(rgbOf);
    this.points.reset(all);
    this.kernel.reset(scene, all);
    this.formula.reset(scene, all);
  }

  /** Diameters of the dots: their areas go with the mask; other groups' dots are not shown. */
  sizes(reading, group) {
    return Float64Array.from(reading.mask, (mask, n) => {
      if (group !== null && Math.floor(n / this.scene.K) !== group) return 0;
      const part = Math.abs(mask) / this.scene.view.maskUnit;
      return this.scene.view.dotSize * Math.sqrt(Math.min(Math.max(part, 0.02), 2));
    });
  }

  /** Draw what a position reads. */
  draw(reading, state) {
    this.reading = reading;
    const several = this.scene.G > 1 && this.scene.K > 1;
    const shownGroup = several ? Math.min(state.group, this.scene.G - 1) : null;
    this.points.root.style.display = state.points ? '' : 'none';
    if (state.points) this.points.draw(this.onScreen(reading), this.sizes(reading, shownGroup));
    this.kernel.draw(reading, this.sizes(reading, null));
    this.drawTerms(reading, nearest(this.scene, state));
    if (this.lit !== null) this.light(this.lit);
  }

  onScreen(reading) {
    const project = (points) => {
      const places = new Float64Array(points.length);
      for (let i = 0; i < points.length; i += 2) {
        places.set(this.image.toScreen(...this.scene.toImage(points[i], points[i + 1])), i);
      }
      return places;
    };
    return { base: project(reading.base), point: project(reading.point) };
  }

  drawTerms(reading, state) {
    const { scene } = this;
    const input = state.input_channel === null || !scene.ready ? null : Math.min(state.input_channel, scene.C - 1);
    const terms = scene.terms(reading, state.output_channel, input);
    this.terms = terms;
    if (!terms) {
      const why = t(scene.ready ? 'The sum needs the input and the output, which this record does not hold.' : 'The numbers are on their way …');
      this.formula.drawPlaces(why, scene.places(reading), reading);
      return;
    }
    this.formula.draw({
      symbol: `y(${reading.y}, ${reading.x})${state.output_channel === null ? t(', mean of the channels') : ''}`,
      terms, reading, why: why(scene, reading, terms), part: part(scene, terms, input), half: scene.tensors.offset.half,
    });
  }

  /** Light one tap up in all three views; null puts all out. */
  light(n) {
    this.lit = n;
    this.points.light(n);
    this.kernel.points.light(n);
    this.formula.light(n);
    this.onLight(n);
    this.parts.terms.dispatchEvent(new Event('dv-light', { bubbles: true }));
    const around = n === null || !this.reading || n >= this.reading.count ? null
      : this.scene.neighbours(this.reading.point[2 * n], this.reading.point[2 * n + 1]);
    this.points.showPixels(around ? this.pixelsOf(around) : [], this.image.drawn ? this.image.scale * this.scene.grid.image_stride[1] : 1);
  }

  pixelsOf({ y, x, weights }) {
    return weights.map((weight, i) => {
      const [sy, sx] = this.image.toScreen(...this.scene.toImage(y + (i >> 1), x + (i & 1)));
      return { y: sy, x: sx, weight };
    });
  }

  /** Draw the arrows of a tap's field, `state.arrows` of them across the longer side. */
  drawArrows(state) {
    const { scene } = this;
    if (!state.arrows || !scene.ready || !scene.view.moves) return this.arrows.replaceChildren();
    const { tap, group } = nearest(scene, state);
    const key = `${tap} ${group} ${state.arrows}`;
    if (this.field?.key !== key) this.field = { key, ...latticeOf(scene, tap, group, state.arrows) };
    const { base, offset, color } = this.field;
    const project = (part) => {
      const places = new Float64Array(base.length);
      for (let i = 0; i < base.length; i += 2) {
        const [y, x] = scene.toImage(base[i] + part * offset[i], base[i + 1] + part * offset[i + 1]);
        places.set(this.image.toScreen(y, x), i);
      }
      return places;
    };
    return drawArrows(this.arrows, { start: project(0), end: project(state.morph), color });
  }
}

/** The bytes [r, g, b] of "#rrggbb" or "rgb(r, g, b)". */
function rgbOf(color) {
  if (!color.startsWith('#')) return color.match(/\d+/g).map(Number);
  return [1, 3, 5].map((start) => Number.parseInt(color.slice(start, start + 2), 16));
}

/** A lattice of one tap's offsets: base points and offsets [2n], colours [n] by length. */
function latticeOf(scene, tap, group, across) {
  const step = Math.max(1, Math.round(Math.max(scene.h, scene.w) / across));
  const [base, offset] = [[], []];
  for (let y = Math.floor(Math.min(step, scene.h) / 2); y < scene.h; y += step) {
    for (let x = Math.floor(Math.min(step, scene.w) / 2); x < scene.w; x += step) {
      for (const axis of [0, 1]) {
        base.push(scene.baseOf(group, tap, axis, y, x));
        offset.push(scene.tensors.offset.at(group, tap, axis, y, x));
      }
    }
  }
  const length = Float32Array.from({ length: base.length / 2 }, (_, n) => Math.hypot(offset[2 * n], offset[2 * n + 1]));
  const top = robustTop(length);
  const table = PALETTES.Plasma;
  const steps = 15; // few colours make few paths
  const color = Array.from(length, (value) => {
    const part = Math.round(Math.min(value / top, 1) * steps) / steps;
    return `rgb(${table[Math.round(part * (table.length - 1))].join(' ')})`;
  });
  return { base, offset, color };
}
