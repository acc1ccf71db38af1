/* Reads the .safetensors file that `deformviz.viewer.wire` writes. */

/** Every float16 as a number, by its bits. */
const HALF = new Float32Array(65536).map((_, bits) => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
});

const KINDS = { F32: Float32Array, F16: Uint16Array, I32: Int32Array };

/** A tensor whose axes of length 1 are broadcast: their stride is 0. */
export class Tensor {
  constructor(data, shape, half = false) {
    this.data = data;
    this.shape = shape;
    this.half = half;
    const strides = shape.map((length, axis) => (
      length === 1 ? 0 : shape.slice(axis + 1).reduce((product, n) => product * n, 1)));
    this.strides = [...strides, 0, 0, 0, 0, 0].slice(0, 5);
  }

  /** The number at a flat index. */
  get(index) {
    return this.half ? HALF[this.data[index]] : this.data[index];
  }

  /** The number at a place; indices along axes of length 1 do not matter. */
  at(a = 0, b = 0, c = 0, d = 0, e = 0) {
    const [p, q, r, s, t] = this.strides;
    return this.get(a * p + b * q + c * r + d * s + e * t);
  }

  /** Fill `numbers` with those along the last of five axes; several times as fast as one by one. */
  line(numbers, a, b, c, d) {
    const { data, half, strides: [p, q, r, s, t] } = this;
    const start = a * p + b * q + c * r + d * s;
    if (half) for (let e = 0; e < numbers.length; e += 1) numbers[e] = HALF[data[start + e * t]];
    else for (let e = 0; e < numbers.length; e += 1) numbers[e] = data[start + e * t];
  }
}

/** Float16 by their bits as numbers; a loop, as `from` would hold the page up for 20 times as long. */
function singles(halves) {
  const numbers = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i += 1) numbers[i] = HALF[halves[i]];
  return numbers;
}

/** {name: Tensor} of a file's bytes. */
export function readTensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const tensors = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const Kind = KINDS[entry.dtype];
    const [start, end] = entry.data_offsets;
    const data = new Kind(buffer, 8 + length + start, (end - start) / Kind.BYTES_PER_ELEMENT);
    const half = entry.dtype === 'F16';
    // Offsets are many and stay packed; the others are read where a look-up would be slow.
    tensors[name] = half && name !== 'offset'
      ? new Tensor(singles(data), entry.shape) : new Tensor(data, entry.shape, half);
  }
  return tensors;
}
