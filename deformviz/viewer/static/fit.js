/* What the offsets of one position do to its kernel as a whole: `affine_fit` and
 * `effective_dilation` of deformviz.analysis, for the taps as they are shown. Points are (y, x). */

const DEGREES = 180 / Math.PI;
const LINE = Math.sqrt(Number.EPSILON); // of the squared trace, below which the taps lie on a line

/**
 * The affine map that moves taps like their offsets, in the least-squares sense.
 *
 * @param base, point [2K]: the undeformed taps, and where they are read.
 * @returns {shift: [dy, dx], scale, rotation in degrees, shear, residual}; NaN where that is unknown.
 */
export function affineFit(base, point) {
  const count = base.length / 2;
  const [from, to] = [centreOf(base), centreOf(point)];
  const spread = new Float64Array(4);
  const moved = new Float64Array(4);
  for (let n = 0; n < count; n += 1) {
    for (let a = 0; a < 2; a += 1) {
      for (let b = 0; b < 2; b += 1) {
        const p = base[2 * n + b] - from[b];
        spread[2 * a + b] += ((base[2 * n + a] - from[a]) * p) / count;
        moved[2 * a + b] += ((point[2 * n + a] - to[a]) * p) / count;
      }
    }
  }
  const { inverse, plane } = inverseOf(spread);
  const matrix = product(moved, inverse);
  let left = 0;
  for (let n = 0; n < count; n += 1) {
    const [y, x] = [base[2 * n] - from[0], base[2 * n + 1] - from[1]];
    left += (point[2 * n] - to[0] - matrix[0] * y - matrix[1] * x) ** 2 / count;
    left += (point[2 * n + 1] - to[1] - matrix[2] * y - matrix[3] * x) ** 2 / count;
  }
  const residual = Math.sqrt(left);
  if (!Number.isFinite(residual)) return { shift: [NaN, NaN], scale: NaN, rotation: NaN, shear: NaN, residual: NaN };
  const energy = spread[0] + spread[3];
  const [along, across] = [(moved[0] + moved[3]) / energy, (moved[1] - moved[2]) / energy];
  return {
    shift: [to[0] - from[0], to[1] - from[1]],
    scale: Math.hypot(along, across),
    rotation: Math.atan2(across, along) * DEGREES,
    shear: plane ? shearOf(matrix) : NaN,
    residual,
  };
}

function centreOf(points) {
  const sum = [0, 0];
  for (let i = 0; i < points.length; i += 1) sum[i % 2] += points[i];
  return sum.map((value) => value / (points.length / 2));
}

/** The pseudo-inverse of a symmetric matrix [yy, yx, xy, xx], and whether it spans the plane. */
function inverseOf([yy, yx, , xx]) {
  const trace = yy + xx;
  const determinant = yy * xx - yx * yx;
  const plane = 4 * determinant > LINE * trace * trace;
  if (plane) return { plane, inverse: [xx, -yx, -yx, yy].map((value) => value / determinant) };
  const inverse = [yy, yx, yx, xx].map((value) => (trace === 0 ? 0 : value / (trace * trace)));
  return { plane, inverse };
}

const product = ([a, b, c, d], [e, f, g, h]) => [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h];

/** The cotangent of the angle between rows and columns. */
const shearOf = ([a, b, c, d]) => (a * b + c * d) / (a * d - b * c);

/** The mean distance between neighbours in the kernel's rows and columns; NaN where none are. */
export function effectiveDilation(point, [height, width]) {
  if (point.length !== 2 * height * width) return NaN; // the taps are no grid
  let [sum, pairs] = [0, 0];
  const add = (n, m) => {
    sum += Math.hypot(point[2 * n] - point[2 * m], point[2 * n + 1] - point[2 * m + 1]);
    pairs += 1;
  };
  for (let n = 0; n < height * width; n += 1) {
    if (n % width) add(n, n - 1);
    if (n >= width) add(n, n - width);
  }
  const mean = sum / pairs;
  return Number.isFinite(mean) ? mean : NaN;
}
