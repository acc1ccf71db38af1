/* The viewer's state as a link's query; `deformviz.viewer.state` reads it back. */

// FIRST_STATE: what a link need not mention; the bundle brings it along.

export const firstState = () => ({ ...FIRST_STATE });

function format(value) {
  if (value === null) return 'all';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (Array.isArray(value)) return value.map(format).join(',');
  return String(value);
}

/** What differs from the first state: [[name, text]]. */
export function stateQuery(state) {
  return Object.keys(FIRST_STATE)
    .filter((name) => JSON.stringify(state[name]) !== JSON.stringify(FIRST_STATE[name]))
    .map((name) => [name, format(state[name])]);
}

/** No movement by hand. */
export const unmoved = () => ({ scale: 1, rotate: 0, shear: 0, dragged: new Map() });

/** Scale, rotation in degrees and shear as a matrix [a, b, c, d] over (y, x). */
export function matrixOf({ scale, rotate, shear }) {
  const [cos, sin] = [Math.cos((rotate * Math.PI) / 180), Math.sin((rotate * Math.PI) / 180)];
  // Shear moves x by y first; a positive angle then turns clockwise, as y points down.
  return [scale * (cos + shear * sin), scale * sin, scale * (shear * cos - sin), scale * cos];
}

/** Where a sweep over an output of h x w is at part t of its round: a closed curve. */
export function sweepPosition(t, h, w) {
  const turn = 2 * Math.PI * t;
  return [
    Math.round(((h - 1) / 2) * (1 + 0.9 * Math.sin(2 * turn))),
    Math.round(((w - 1) / 2) * (1 - 0.9 * Math.cos(3 * turn))),
  ];
}
