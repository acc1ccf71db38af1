/* How large a layer's offsets and masks are: exact counts in the bins of `deformviz.analysis.bins`,
 * and the positions behind each. Numbers are taken as float64, as Python takes them, so that both
 * agree on each of them. Work goes in steps, as generators; nothing here draws. */

import { brief } from './dom.js';
import { t } from './words.js';

// EDGES: between the bins above zero, ascending; the bundle brings them along.

const REACH = EDGES.length + 2; // bins above zero: small, between the edges, large, infinite
const STEP = 16384; // values between two looks at the clock

/** The bins from small to large, as `Bins` has them: [{kind, low, high, label}]. */
function binsOf(signed) {
  const above = [{ kind: 'small', low: 0, high: EDGES[0] }];
  for (let i = 1; i < EDGES.length; i += 1) above.push({ kind: 'inside', low: EDGES[i - 1], high: EDGES[i] });
  above.push({ kind: 'large', low: EDGES.at(-1), high: Infinity }, { kind: 'infinite', low: Infinity, high: Infinity });
  const below = [...above].reverse().map(({ kind, low, high }) => ({ kind, low: -high, high: -low }));
  const bins = [...(signed ? below : []), { kind: 'zero', low: 0, high: 0 }, ...above, { kind: 'nan', low: NaN, high: NaN }];
  return bins.map((bin) => ({ ...bin, label: labelOf(bin) }));
}

function labelOf({ kind, low, high }) {
  if (kind === 'nan') return 'NaN';
  if (kind === 'infinite') return low > 0 ? '∞' : '−∞';
  if (kind === 'zero') return '0';
  if (kind === 'large') return low > 0 ? t('{low} and more', { low: brief(low) }) : t('{high} and less', { high: brief(high) });
  return t('{low} to {high}', { low: brief(low), high: brief(high) });
}

/** How many edges are not above a size. */
function edgesReached(size) {
  let low = 0;
  let high = EDGES.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (EDGES[middle] <= size) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The bin of a number; one below zero needs bins of both signs. */
function binOf(value, signed) {
  if (Number.isNaN(value)) return signed ? 2 * REACH + 1 : REACH + 1;
  const size = Math.abs(value);
  let place = edgesReached(size) + 1;
  if (size === 0) place = 0;
  else if (size === Infinity) place = REACH;
  if (!signed) return place;
  return value < 0 ? REACH - place : REACH + place;
}

/** The counts of one quantity of a scene: 'magnitude', 'dy', 'dx' or 'mask'. */
export class Histogram {
  constructor(scene, quantity) {
    Object.assign(this, { scene, quantity, bins: null, counts: null });
    this.tensor = scene.tensors[quantity === 'mask' ? 'mask' : 'offset'];
    const { shape } = this.tensor;
    // What is the same along an axis is held once, and counted as often as it stands there.
    [this.groups, this.taps] = shape;
    [this.rows, this.columns] = shape.slice(-2);
    this.line = new Float64Array(this.columns);
  }

  /** The values of one row: [columns]. */
  row(group, tap, y) {
    const { tensor, line, quantity } = this;
    const [p, q, r, s, t] = tensor.strides;
    const start = group * p + tap * q;
    if (quantity === 'mask') {
      for (let x = 0; x < line.length; x += 1) line[x] = tensor.get(start + y * r + x * s);
    } else if (quantity === 'magnitude') {
      for (let x = 0; x < line.length; x += 1) {
        const place = start + y * s + x * t;
        const dy = tensor.get(place);
        const dx = tensor.get(place + r);
        line[x] = Math.sqrt(dy * dy + dx * dx); // both squares are exact; of NaN and infinity it is NaN
      }
    } else {
      const axis = quantity === 'dy' ? 0 : r;
      for (let x = 0; x < line.length; x += 1) line[x] = tensor.get(start + axis + y * s + x * t);
    }
    return line;
  }

  /** All rows, [group, tap, y]; it yields once in a while. */
  * walk(groups, taps, visit) {
    let seen = 0;
    for (const group of groups) {
      for (const tap of taps) {
        for (let y = 0; y < this.rows; y += 1) {
          visit(this.row(group, tap, y), group, tap, y);
          seen += this.columns;
          if (seen >= STEP) { seen = 0; yield; }
        }
      }
    }
  }

  /** Fill `bins` and `counts`, in steps; `progress` is told the share that is done. */
  * count(progress = () => {}) {
    const signed = yield* this.hasSigns();
    const bins = binsOf(signed);
    const counts = new Float64Array(this.groups * this.taps * bins.length);
    const all = this.groups * this.taps;
    yield* this.walk(span(this.groups), span(this.taps), (line, group, tap, y) => {
      const plane = group * this.taps + tap;
      for (let x = 0; x < line.length; x += 1) counts[plane * bins.length + binOf(line[x], signed)] += 1;
      progress((plane + y / this.rows) / all);
    });
    Object.assign(this, { signed, bins, counts });
  }

  /** Whether bins below zero are needed: for dy and dx, and a mask that has such values. */
  * hasSigns() {
    if (this.quantity !== 'mask') return this.quantity !== 'magnitude';
    let signed = false;
    yield* this.walk(span(this.groups), span(this.taps), (line) => { signed ||= line.some((value) => value < 0); });
    return signed;
  }

  /** The counts of one group and tap; null for all of them: [bins]. */
  total(group, tap) {
    const { scene, bins, counts } = this;
    const same = (scene.h / this.rows) * (scene.w / this.columns);
    const sums = new Array(bins.length).fill(0);
    for (const g of group === null ? span(scene.G) : [group]) {
      for (const k of tap === null ? span(scene.K) : [tap]) {
        const plane = Math.min(g, this.groups - 1) * this.taps + Math.min(k, this.taps - 1);
        for (let bin = 0; bin < bins.length; bin += 1) sums[bin] += same * counts[plane * bins.length + bin];
      }
    }
    return sums;
  }

  /** Set, in `found` [h * w], the positions at which a value of the group and tap is in a bin. */
  * positionsIn(bin, group, tap, found) {
    const { h, w } = this.scene;
    const one = (index, length) => (index === null ? span(length) : [Math.min(index, length - 1)]);
    yield* this.walk(one(group, this.groups), one(tap, this.taps), (line, g, k, y) => {
      for (let x = 0; x < line.length; x += 1) {
        if (binOf(line[x], this.signed) !== bin) continue;
        for (let row = y; row < h; row += this.rows) { // only rows that are held once have others
          if (this.columns < w) found.fill(1, row * w, (row + 1) * w);
          else found[row * w + x] = 1;
        }
      }
    });
  }
}

const span = (length) => Array.from({ length }, (_, i) => i);
