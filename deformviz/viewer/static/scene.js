/* A Sampling in the browser: where each position reads, what the sum is made of, and who reads a
 * pixel. Coordinates are (y, x), pixel centres at integers; a point outside the map reads zero and
 * fades over one pixel. Nothing here draws. */

import { clamp } from './dom.js';
import { sortedByPixel } from './sorting.js';

/** The points that one output position reads; arrays are [G * K * 2], (y, x), in map pixels. */
class Reading {
  constructor(y, x, count) {
    Object.assign(this, { y, x, count, exact: true });
    this.base = new Float64Array(2 * count);
    this.offset = new Float64Array(2 * count);
    this.point = new Float64Array(2 * count);
    this.mask = new Float64Array(count).fill(1);
  }

  /** The centre of the base points. */
  get centre() {
    let [y, x] = [0, 0];
    for (let n = 0; n < this.count; n += 1) {
      y += this.base[2 * n] / this.count;
      x += this.base[2 * n + 1] / this.count;
    }
    return [y, x];
  }

  /** Put the points where `change` has them: part of the way, turned and sheared, dragged. */
  move({ morph, matrix, dragged }) {
    const [cy, cx] = this.centre;
    const [a, b, c, d] = matrix;
    for (let n = 0; n < this.count; n += 1) {
      const y = this.base[2 * n] + morph * this.offset[2 * n] - cy;
      const x = this.base[2 * n + 1] + morph * this.offset[2 * n + 1] - cx;
      const [dy, dx] = dragged.get(n) ?? [0, 0];
      this.point[2 * n] = cy + a * y + b * x + dy;
      this.point[2 * n + 1] = cx + c * y + d * x + dx;
    }
    this.exact = morph === 1 && dragged.size === 0 && a === 1 && b === 0 && c === 0 && d === 1;
    return this;
  }
}

export class Scene {
  /** @param view what `deformviz.viewer.scene` made, as parsed JSON. */
  constructor(view) {
    const { header } = view;
    Object.assign(this, { view, tensors: null, index: null, kernels: new Map() });
    [this.H, this.W] = header.input_size;
    [this.h, this.w] = header.output_size;
    [this.G, this.K] = [view.groups, view.taps];
    this.grid = header;
  }

  attach(tensors) {
    this.tensors = tensors;
    this.C = tensors.input ? tensors.input.shape[0] : 0;
    this.O = tensors.output ? tensors.output.shape[0] : 0;
  }

  get ready() { return this.tensors !== null; }

  // --- places --------------------------------------------------------------------------------

  toImage(y, x) {
    const { image_origin: origin, image_stride: stride } = this.grid;
    return [origin[0] + y * stride[0], origin[1] + x * stride[1]];
  }

  fromImage(y, x) {
    const { image_origin: origin, image_stride: stride } = this.grid;
    return [(y - origin[0]) / stride[0], (x - origin[1]) / stride[1]];
  }

  /** The output position whose ground holds a place of the image, or the nearest one. */
  positionAt(y, x) {
    const [top, left, height, width] = this.view.outputBox;
    return [
      clamp(Math.floor(((y - top) / height) * this.h), 0, this.h - 1),
      clamp(Math.floor(((x - left) / width) * this.w), 0, this.w - 1),
    ];
  }

  /** The middle of a position's ground, on the image. */
  groundOf(y, x) {
    const [top, left, height, width] = this.view.outputBox;
    return [top + ((y + 0.5) * height) / this.h, left + ((x + 0.5) * width) / this.w];
  }

  /** Where the output's map, or the input's, lies on the image: (top, left, height, width). */
  box(ofInput) {
    if (!ofInput) return this.view.outputBox;
    const { image_origin: origin, image_stride: stride } = this.grid;
    return [origin[0] - stride[0] / 2, origin[1] - stride[1] / 2, this.H * stride[0], this.W * stride[1]];
  }

  // --- what a position reads -----------------------------------------------------------------

  /** null until the offsets have come, but for the one position that came with the picture. */
  reading(y, x) {
    const early = this.view.reading;
    if (!this.ready && !(y === early.y && x === early.x)) return null;
    const reading = new Reading(y, x, this.G * this.K);
    for (let n = 0; n < reading.count; n += 1) {
      const [g, k] = [Math.floor(n / this.K), n % this.K];
      for (let axis = 0; axis < 2; axis += 1) {
        reading.base[2 * n + axis] = this.baseOf(g, k, axis, y, x);
        reading.offset[2 * n + axis] = this.ready
          ? this.tensors.offset.at(g, k, axis, y, x) : early.offset[g][k][axis];
      }
      if (!this.ready) reading.mask[n] = early.mask[g][k];
      else if (this.tensors.mask) reading.mask[n] = this.tensors.mask.at(g, k, y, x);
    }
    return reading;
  }

  baseOf(g, k, axis, y, x) {
    const { reference } = this.tensors ?? {};
    if (reference) return reference.at(g, k, axis, y, x);
    if (this.view.reading?.base) return this.view.reading.base[g][k][axis];
    const { kernel_size: size, stride, padding, dilation } = this.grid;
    const step = axis === 0 ? Math.floor(k / size[1]) : k % size[1];
    return (axis === 0 ? y : x) * stride[axis] - padding[axis] + step * dilation[axis];
  }

  // --- the terms of the sum ------------------------------------------------------------------

  /** The weight of every channel and tap [C * K] in an output channel; null: their mean. */
  kernel(output, region) {
    const key = `${output} ${region}`;
    if (!this.kernels.has(key)) this.kernels.set(key, this.makeKernel(output, region));
    return this.kernels.get(key);
  }

  makeKernel(output, region) {
    const { C, O, K } = this;
    const { weight } = this.tensors;
    const outputs = output === null ? [...Array(O).keys()] : [output];
    const kernel = new Float64Array(C * K);
    if (!weight) {
      for (const o of outputs) kernel[o * K] = 1 / outputs.length;
      return kernel;
    }
    const place = region === null ? [] : [region];
    const perOutput = weight.shape[place.length + 1];
    const columns = this.grid.kernel_size[1];
    const perGroup = O / (C / perOutput);
    for (const o of outputs) {
      const first = Math.floor(o / perGroup) * perOutput;
      for (let i = 0; i < perOutput; i += 1) {
        for (let k = 0; k < K; k += 1) {
          const w = weight.at(...place, o, i, Math.floor(k / columns), k % columns);
          kernel[(first + i) * K + k] += w / outputs.length;
        }
      }
    }
    return kernel;
  }

  /** What is known of each point alone: the rows of `terms` without their values. */
  places(reading) {
    return Array.from({ length: reading.count }, (_, n) => ({
      n, around: this.neighbours(reading.point[2 * n], reading.point[2 * n + 1]), mask: reading.mask[n],
    }));
  }

  /** The four pixels around a point and their weights; 0 for a pixel outside the map. */
  neighbours(py, px) {
    const [y, x] = [Math.floor(py), Math.floor(px)];
    const [fy, fx] = [py - y, px - x];
    const inside = (row, column) => row >= 0 && row < this.H && column >= 0 && column < this.W;
    return {
      y, x,
      weights: [
        inside(y, x) ? (1 - fy) * (1 - fx) : 0,
        inside(y, x + 1) ? (1 - fy) * fx : 0,
        inside(y + 1, x) ? fy * (1 - fx) : 0,
        inside(y + 1, x + 1) ? fy * fx : 0,
      ],
    };
  }

  /** A channel's value at a point, from its neighbours; one that weighs nothing adds nothing. */
  sample(channel, { y, x, weights }) {
    const { data } = this.tensors.input;
    const corner = channel * this.H * this.W + y * this.W + x;
    let sum = 0;
    if (weights[0] > 0) sum += weights[0] * data[corner];
    if (weights[1] > 0) sum += weights[1] * data[corner + 1];
    if (weights[2] > 0) sum += weights[2] * data[corner + this.W];
    if (weights[3] > 0) sum += weights[3] * data[corner + this.W + 1];
    return sum;
  }

  /**
   * Take an output value apart, a row for each group and tap that has a weight.
   *
   * @param output an output channel, or null for the mean of all.
   * @param input the input channel whose numbers the rows have, or null for the sum over all.
   * @returns null without the input's values; else {rows, total, bias, output, region}.
   */
  terms(reading, output, input) {
    if (!this.ready || !this.tensors.input || !this.tensors.output) return null;
    const { y, x } = reading;
    const region = this.tensors.region ? this.tensors.region.at(y, x) : null;
    const kernel = this.kernel(output, region);
    const rows = [];
    let total = 0;
    for (let n = 0; n < reading.count; n += 1) {
      const row = this.term(reading, n, kernel, input);
      total += row.sum;
      if (row.channels > 0) rows.push(row);
    }
    const bias = this.tensors.bias ? this.mean(output, (o) => this.tensors.bias.at(o)) : 0;
    const given = this.mean(output, (o) => this.tensors.output.at(o, y, x));
    return { rows, total: total + bias, bias, output: given, region };
  }

  term(reading, n, kernel, input) {
    const around = this.neighbours(reading.point[2 * n], reading.point[2 * n + 1]);
    const perGroup = this.C / this.G;
    const [g, k] = [Math.floor(n / this.K), n % this.K];
    const row = { n, g, k, around, mask: reading.mask[n], value: 0, weight: 0, product: 0, channels: 0, sum: 0 };
    for (let c = g * perGroup; c < (g + 1) * perGroup; c += 1) {
      const weight = kernel[c * this.K + k];
      if (weight === 0) continue;
      const value = this.sample(c, around);
      const product = weight * row.mask * value;
      row.sum += product;
      if (input !== null && input !== c) continue;
      Object.assign(row, { value, weight });
      row.product += product;
      row.channels += 1;
    }
    return row;
  }

  mean(output, value) {
    if (output !== null) return value(output);
    let sum = 0;
    for (let o = 0; o < this.O; o += 1) sum += value(o);
    return sum / this.O;
  }

  // --- who reads a pixel ---------------------------------------------------------------------

  /** Sort the points for the look-up, in steps. */
  * buildIndex() {
    this.index = yield* sortedByPixel(this);
  }

  /** The point of an id ((g * K + k) * h + y) * w + x, along one axis. */
  pointOf(id, axis) {
    const x = id % this.w;
    const y = Math.floor(id / this.w) % this.h;
    const n = Math.floor(id / (this.w * this.h));
    const k = n % this.K;
    const g = (n - k) / this.K;
    return this.baseOf(g, k, axis, y, x) + this.tensors.offset.at(g, k, axis, y, x);
  }

  /** Everyone who reads a pixel of the map: [{position: y * w + x, n, weight}]. */
  readers(py, px) {
    if (!this.index || py < 0 || py >= this.H || px < 0 || px >= this.W) return [];
    const { start, ids } = this.index;
    const found = [];
    for (const cell of [py * (this.W + 1) + px, (py + 1) * (this.W + 1) + px]) {
      for (let place = start[cell]; place < start[cell + 2]; place += 1) {
        const id = ids[place];
        const weight = (1 - Math.abs(this.pointOf(id, 0) - py)) * (1 - Math.abs(this.pointOf(id, 1) - px));
        const area = this.w * this.h;
        if (weight > 0) found.push({ position: id % area, n: Math.floor(id / area), weight });
      }
    }
    return found;
  }
}
