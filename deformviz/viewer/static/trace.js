/* Follows taps down through the layers below: where a unit of the top layer looks, level by level.
 * It computes what `analysis/tracing.py` does, which says what the modes mean, and draws nothing.
 * Coordinates are (y, x) in pixels of each layer's map, pixel centres at integers. */

import { t } from './words.js';

const MOST_POINTS = 2 ** 17;

/** The units around a point and their weights, as `around` last found them; reused at each call. */
const corner = { y: new Int32Array(4), x: new Int32Array(4), weight: new Float64Array(4) };

/** Find the four units around a point on a map of h x w: the sum of their weights, 0 off the map. */
function around(py, px, h, w) {
  const [top, left] = [Math.floor(py), Math.floor(px)];
  let inside = 0;
  for (let i = 0; i < 4; i += 1) {
    const [y, x] = [top + (i >> 1), left + (i & 1)];
    const on = y >= 0 && y < h && x >= 0 && x < w; // false for NaN
    corner.y[i] = y;
    corner.x[i] = x;
    corner.weight[i] = on ? (1 - Math.abs(py - y)) * (1 - Math.abs(px - x)) : 0;
    inside += corner.weight[i];
  }
  return inside;
}

/** To the nearest whole number, halves to the even one, as torch rounds. */
function roundEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

const isOn = (y, x, h, w) => y >= 0 && y < h && x >= 0 && x < w;

/**
 * How strongly a kernel reads at each tap [m * G * K]: the sum of |w| over the input channels of a
 * group, averaged over the output channels. null where the record has no kernel.
 */
function tapStrength(scene) {
  const { weight, region } = scene.tensors;
  if (!weight) return null;
  const kernels = region ? weight.shape[0] : 1;
  const [outputs, perOutput, rows, columns] = weight.shape.slice(region ? 1 : 0);
  const taps = rows * columns;
  const channels = scene.C || perOutput;
  if (taps !== scene.K || channels % scene.G) {
    throw new Error(t('the kernel of {name} does not say which channels its taps read: choose another weight', { name: scene.grid.name }));
  }
  const [perGroup, sharing] = [channels / scene.G, Math.floor((outputs * perOutput) / channels)];
  const strength = new Float64Array(kernels * scene.G * taps);
  let index = 0;
  for (let m = 0; m < kernels; m += 1) {
    for (let o = 0; o < outputs; o += 1) {
      for (let i = 0; i < perOutput; i += 1) {
        const group = Math.floor((Math.floor(o / sharing) * perOutput + i) / perGroup);
        const place = (m * scene.G + group) * taps;
        for (let k = 0; k < taps; k += 1, index += 1) strength[place + k] += Math.abs(weight.get(index)) / outputs;
      }
    }
  }
  return strength;
}

/** Where a layer's output units read, and how strongly: `points` [2T] and `factors` [T]. */
export class LayerTaps {
  /**
   * @param scene with its numbers.
   * @param group the one that is followed, or null for all.
   * @param weight what factors are made of: 'taps', 'mask' or 'kernel', as in Python.
   */
  constructor(scene, group, weight) {
    this.scene = scene;
    this.first = group === null ? 0 : Math.min(group, scene.G - 1) * scene.K;
    this.count = group === null ? scene.G * scene.K : scene.K;
    this.mask = weight === 'taps' ? null : scene.tensors.mask ?? null;
    if (weight === 'kernel') scene.strength ??= tapStrength(scene);
    this.strength = weight === 'kernel' ? scene.strength : null;
    this.points = new Float64Array(2 * this.count);
    this.factors = new Float64Array(this.count);
    const { kernel_size: size, padding, dilation } = scene.grid;
    this.regular = scene.tensors.reference ? null : Float64Array.from({ length: 2 * scene.K }, (_, i) => {
      const k = i >> 1;
      return i % 2 ? (k % size[1]) * dilation[1] - padding[1] : Math.floor(k / size[1]) * dilation[0] - padding[0];
    });
  }

  /** Of an output unit, whole numbers. */
  atUnit(y, x) {
    this.clear();
    this.add(y, x, 1);
    this.addRegular(y, x);
  }

  /** Of a fractional one, on the map in part: offsets and factors are interpolated. */
  atPoint(y, x) {
    const { h, w } = this.scene;
    const inside = around(y, x, h, w);
    this.clear();
    for (let i = 0; i < 4; i += 1) {
      if (corner.weight[i] > 0) this.add(corner.y[i], corner.x[i], corner.weight[i] / inside);
    }
    for (let t = 0; t < this.count; t += 1) this.factors[t] *= inside; // as the operator's values fade
    this.addRegular(y, x);
  }

  clear() {
    this.points.fill(0);
    this.factors.fill(0);
  }

  /** Add a unit's offsets, base points that are no grid, and factors, times its share. */
  add(y, x, share) {
    const { points, factors, count, first, mask, strength, scene } = this;
    const { G, K, tensors: { offset, reference, region } } = scene;
    const kernel = strength && region ? region.at(y, x) * G * K : 0;
    for (let t = 0; t < count; t += 1) {
      const n = first + t;
      const [g, k] = [Math.floor(n / K), n % K];
      for (let axis = 0; axis < 2; axis += 1) {
        const base = reference ? reference.at(g, k, axis, y, x) : 0;
        points[2 * t + axis] += share * (offset.at(g, k, axis, y, x) + base);
      }
      const factor = mask ? mask.at(g, k, y, x) : 1;
      factors[t] += share * (strength ? factor * strength[kernel + n] : factor);
    }
  }

  addRegular(y, x) {
    const { points, regular, count, scene } = this;
    if (!regular) return;
    const { stride } = scene.grid;
    for (let t = 0; t < count; t += 1) {
      const k = t % scene.K;
      points[2 * t] += y * stride[0] + regular[2 * k];
      points[2 * t + 1] += x * stride[1] + regular[2 * k + 1];
    }
  }
}

/**
 * Which of the lower layer's output units, fractional, lies at a place on the upper one's map. Maps of
 * one size are the same; else something in between changed it, and the place on the image is sought.
 */
function unitBelow(upper, lower, axis, value) {
  if (upper.H === lower.h && upper.W === lower.w) return value;
  const { image_origin: origin, image_stride: step, kernel_size: size, padding, dilation, stride } = lower.grid;
  const image = value * upper.grid.image_stride[axis] + upper.grid.image_origin[axis];
  const first = ((size[axis] - 1) * dilation[axis]) / 2 - padding[axis];
  return ((image - origin[axis]) / step[axis] - first) / stride[axis];
}

// --- exact: all ways to a unit are one weight ----------------------------------------------------

/** Weights on a map, of which few are not zero. */
class HeatMap {
  constructor(h, w) {
    Object.assign(this, { h, w, values: new Float64Array(h * w), seen: new Uint8Array(h * w), units: [] });
  }

  add(y, x, weight) {
    if (weight === 0 || !Number.isFinite(weight)) return;
    const unit = y * this.w + x;
    if (!this.seen[unit]) { this.seen[unit] = 1; this.units.push(unit); }
    this.values[unit] += weight;
  }

  /** A point's weight, shared out among the units around it. */
  spread(y, x, weight) {
    around(y, x, this.h, this.w);
    for (let i = 0; i < 4; i += 1) this.add(corner.y[i], corner.x[i], corner.weight[i] * weight);
  }

  /** The units that have a weight, in the order of rows. */
  sorted() { return Int32Array.from(this.units).sort().filter((unit) => this.values[unit] !== 0); }
}

/** The weights of an upper layer's input on the lower one's output. */
function landed(heat, upper, lower) {
  if (upper.H === lower.h && upper.W === lower.w) return heat;
  const found = new HeatMap(lower.h, lower.w);
  for (const unit of heat.sorted()) {
    const y = unitBelow(upper, lower, 0, Math.floor(unit / heat.w));
    found.spread(y, unitBelow(upper, lower, 1, unit % heat.w), heat.values[unit]);
  }
  return found;
}

function exactLevels(layers, start) {
  let heat = new HeatMap(layers[0].scene.h, layers[0].scene.w);
  heat.add(start.y, start.x, 1);
  return layers.map((layer, index) => {
    const { scene } = layer;
    if (index > 0) heat = landed(heat, layers[index - 1].scene, scene);
    const down = new HeatMap(scene.H, scene.W);
    for (const unit of heat.sorted()) {
      layer.atUnit(Math.floor(unit / heat.w), unit % heat.w);
      const points = index === 0 && start.moved ? movedOf(layer, start) : layer.points;
      for (let t = 0; t < layer.count; t += 1) {
        if (index === 0 && start.only !== null && layer.first + t !== start.only) continue;
        down.spread(points[2 * t], points[2 * t + 1], layer.factors[t] * heat.values[unit]);
      }
    }
    heat = down;
    const units = down.sorted();
    const points = Float64Array.from({ length: 2 * units.length }, (_, i) => (
      i % 2 ? units[i >> 1] % down.w : Math.floor(units[i >> 1] / down.w)));
    return { scene, points, weights: Float64Array.from(units, (unit) => down.values[unit]), first: null };
  });
}

// --- interp and paper: each way by itself --------------------------------------------------------

/** The first layer's points where a person has put them. */
const movedOf = (layer, { moved }) => moved.subarray(2 * layer.first, 2 * (layer.first + layer.count));

/** Room for the ways through one layer. */
const room = (count) => ({ count: 0, points: new Float64Array(2 * count), weights: new Float64Array(count), first: new Int32Array(count) });

class Ways {
  constructor(layers, start, nearest) {
    Object.assign(this, { layers, start, nearest, off: 0, broken: 0 });
  }

  levels() {
    let ways = room(1);
    ways.count = 1;
    ways.points.set([this.start.y, this.start.x]);
    ways.weights[0] = 1;
    const levels = this.layers.map((layer, index) => {
      ways = this.through(layer, index, this.onto(layer, index, ways));
      return { scene: layer.scene, points: ways.points.subarray(0, 2 * ways.count), weights: ways.weights.subarray(0, ways.count), first: ways.first.subarray(0, ways.count) };
    });
    if (!this.nearest) fade(levels[levels.length - 1]);
    return levels;
  }

  /** How many ways one way becomes through the layers from `index` on. */
  after(index) { return this.layers.slice(index).reduce((product, { count }) => product * count, 1); }

  /** Whether a point is kept on a map; a lost one is counted with all the ways it would become. */
  keeps(y, x, weight, h, w, rest) {
    if (!Number.isFinite(weight + y + x)) this.broken += rest;
    else if (this.nearest ? isOn(roundEven(y), roundEven(x), h, w) : around(y, x, h, w) > 0) return true;
    else this.off += rest;
    return false;
  }

  /** From the map that the layer above read to this layer's output units. */
  onto(layer, index, ways) {
    if (index === 0) return ways;
    const [upper, lower] = [this.layers[index - 1].scene, layer.scene];
    const [kept, rest] = [room(ways.count), this.after(index)];
    for (let i = 0; i < ways.count; i += 1) {
      let y = unitBelow(upper, lower, 0, ways.points[2 * i]);
      let x = unitBelow(upper, lower, 1, ways.points[2 * i + 1]);
      if (this.nearest) [y, x] = [roundEven(y), roundEven(x)];
      if (this.keeps(y, x, ways.weights[i], lower.h, lower.w, rest)) put(kept, y, x, ways.weights[i], ways.first[i]);
    }
    return kept;
  }

  /** From output units to the points that they read. */
  through(layer, index, ways) {
    const { scene, count } = layer;
    if (ways.count * count > MOST_POINTS) {
      throw new Error(t('{count} points are more than can be drawn: take fewer layers, one group, or exact', { count: ways.count * count }));
    }
    const [kept, rest] = [room(ways.count * count), this.after(index + 1)];
    for (let i = 0; i < ways.count; i += 1) {
      const [y, x] = [ways.points[2 * i], ways.points[2 * i + 1]];
      if (this.nearest) layer.atUnit(y, x);
      else layer.atPoint(y, x);
      const points = index === 0 && this.start.moved ? movedOf(layer, this.start) : layer.points;
      for (let t = 0; t < count; t += 1) {
        const [py, px, weight] = [points[2 * t], points[2 * t + 1], ways.weights[i] * layer.factors[t]];
        if (this.keeps(py, px, weight, scene.H, scene.W, rest)) put(kept, py, px, weight, index === 0 ? layer.first + t : ways.first[i]);
      }
    }
    return kept;
  }
}

function put(ways, y, x, weight, first) {
  const i = ways.count;
  ways.points[2 * i] = y;
  ways.points[2 * i + 1] = x;
  ways.weights[i] = weight;
  ways.first[i] = first;
  ways.count += 1;
}

/** A point that is on the map in part counts in part. */
function fade({ scene, points, weights }) {
  for (let i = 0; i < weights.length; i += 1) weights[i] *= around(points[2 * i], points[2 * i + 1], scene.H, scene.W);
}

/**
 * Follow the taps of one unit down.
 *
 * @param layers LayerTaps from the top one on.
 * @param start {y, x, moved, only}: the unit; the top layer's points [2 * G * K] where a person has
 *   moved them, or null; the one tap that is followed, in exact mode, or null.
 * @returns {levels, off, broken}: for each layer {scene, points [2n], weights [n], first [n]} on its
 *   input map, `first` the top layer's tap, or null in exact mode, where ways are merged; and how many
 *   of the ways end off a map, and at a number that is not finite.
 */
export function trace(layers, mode, { y, x, moved = null, only = null }) {
  const start = { y, x, moved, only };
  if (mode === 'exact') return { levels: exactLevels(layers, start), off: 0, broken: 0 };
  const ways = new Ways(layers, start, mode === 'paper');
  return { levels: ways.levels(), off: ways.off, broken: ways.broken };
}
