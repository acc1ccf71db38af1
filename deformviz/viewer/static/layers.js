/* What can lie over the image, painted from the tensors: each overlay as colours, with the range of
 * its scale and its legend. The Python figures have the same colours; a test compares them. */

import { brief } from './dom.js';
import { t } from './words.js';

// PALETTES: colour tables [n][3] by name, that the bundle brings along.

/** The value below which 99 % of the finite ones lie, so that one wild offset does not rule. */
export function robustTop(values) {
  const finite = values.filter(Number.isFinite).sort();
  if (finite.length === 0) return 1;
  const top = finite[Math.floor((finite.length - 1) * 0.99)];
  return top > 0 ? top : finite[finite.length - 1] || 1;
}

/** A map [h * w] of a tensor whose last two axes are (y, x). */
function plane(scene, tensor, place) {
  const values = new Float32Array(scene.h * scene.w);
  const fixed = place.reduce((sum, index, axis) => sum + index * tensor.strides[axis], 0);
  const [down, right] = tensor.strides.slice(place.length);
  for (let y = 0, i = 0; y < scene.h; y += 1) {
    for (let x = 0; x < scene.w; x += 1, i += 1) values[i] = tensor.get(fixed + y * down + x * right);
  }
  return values;
}

/** The offsets of one tap: {dy, dx}, each [h * w]. */
export function field(scene, { tap, group }) {
  const axis = (index) => plane(scene, scene.tensors.offset, [group, tap, index]);
  return { dy: axis(0), dx: axis(1) };
}

const lengths = ({ dy, dx }) => dy.map((value, i) => Math.hypot(value, dx[i]));

/** An output channel, or the mean of all: [h * w]. */
function outputPlane(scene, channel) {
  if (channel !== null) return plane(scene, scene.tensors.output, [channel]);
  const sum = new Float32Array(scene.h * scene.w);
  for (let o = 0; o < scene.O; o += 1) {
    plane(scene, scene.tensors.output, [o]).forEach((value, i) => { sum[i] += value / scene.O; });
  }
  return sum;
}

// --- colours -----------------------------------------------------------------------------------

/** Values as colours of a table [n][3] between low and high: RGBA bytes. */
function lookUp(values, table, low, high) {
  const pixels = new Uint8ClampedArray(4 * values.length);
  for (let i = 0; i < values.length; i += 1) {
    const part = Math.min(Math.max((values[i] - low) / (high - low || 1), 0), 1);
    const color = table[Math.round((Number.isNaN(part) ? 0 : part) * (table.length - 1))];
    pixels.set(color, 4 * i);
    pixels[4 * i + 3] = 255;
  }
  return pixels;
}

/** Vectors as colours: the hue by direction, strength by length up to `top`; transparent if NaN. */
export function directionColors({ dy, dx }, top, palette) {
  const pixels = new Uint8ClampedArray(4 * dy.length);
  const wheel = PALETTES[palette];
  const steps = palette === 'Middlebury' ? wheel.length - 1 : wheel.length;
  for (let i = 0; i < dy.length; i += 1) {
    if (!Number.isFinite(dy[i]) || !Number.isFinite(dx[i])) continue;
    const length = Math.min(Math.hypot(dy[i], dx[i]) / top, 1);
    const position = ((Math.atan2(-dy[i], -dx[i]) / Math.PI + 1) / 2) * steps;
    const lower = Math.floor(position);
    const part = position - lower;
    const [from, to] = [wheel[lower % wheel.length], wheel[(lower + 1) % wheel.length]];
    for (let c = 0; c < 3; c += 1) {
      const color = (1 - part) * from[c] + part * to[c];
      pixels[4 * i + c] = palette === 'Middlebury' ? 255 - length * (255 - color) : color;
    }
    pixels[4 * i + 3] = palette === 'Middlebury' ? 255 : 255 * length;
  }
  return pixels;
}

// --- the overlays ------------------------------------------------------------------------------

function coordinate(name) {
  const range = () => (name === 'radius' ? [0, Math.SQRT2] : [-1, 1]);
  const scale = name === 'radius' ? 'Cividis' : 'PuOr';
  const values = (scene) => {
    const channel = scene.grid.channel_names.indexOf(name);
    const area = scene.H * scene.W;
    return scene.tensors.input.data.subarray(channel * area, (channel + 1) * area);
  };
  return { values, range, scale: () => scale, title: () => t('{name} channel', { name: t(name) }), ofInput: true };
}

const ofTap = (what) => ({ tap }, scene) => (scene.K > 1 ? t('{what} of tap {tap}', { what: t(what), tap }) : t(what));

/** By name: `values` of a scene, their `range`, and how they become colours. */
const OVERLAYS = {
  'field colours': {
    values: field,
    range: (vectors) => [0, robustTop(lengths(vectors))],
    paint: (vectors, [, top], { palette }) => directionColors(vectors, top, palette),
    title: ofTap('Δ'),
  },
  magnitude: {
    values: (scene, state) => lengths(field(scene, state)),
    range: (values) => [0, robustTop(values)],
    scale: () => 'Cividis',
    title: ofTap('|Δ| in pixels'),
  },
  mask: {
    values: (scene, { tap, group }) => plane(scene, scene.tensors.mask, [group, tap]),
    range: (values) => {
      if (values.some((value) => value < 0)) {
        const top = robustTop(values.map(Math.abs));
        return [-top, top];
      }
      return [0, Math.max(1, robustTop(values))];
    },
    scale: ([low]) => (low < 0 ? 'PuOr' : 'Cividis'),
    title: ofTap('mask'),
  },
  regions: {
    values: (scene) => plane(scene, scene.tensors.region, []),
    range: (_values, scene) => [0, scene.view.regionColors.length],
    paint: (values, [, count], state, scene) => lookUp(values, scene.view.regionColors, 0, count - 1),
    title: () => t('region'),
  },
  output: {
    values: (scene, state) => outputPlane(scene, state.output_channel),
    range: (values) => {
      if (values.some((value) => value < -1e-3)) {
        const top = robustTop(values.map(Math.abs));
        return [-top, top];
      }
      return [0, values.some((value) => value > 1.001) ? robustTop(values) : 1];
    },
    scale: ([low]) => (low < 0 ? 'PuOr' : 'Greys'),
    title: ({ output_channel: channel }, scene) => (
      channel === null ? t('mean output') : t('output {channel}', { channel: t(scene.view.channels.output[channel]) })),
  },
  'x coordinate': coordinate('x'),
  'y coordinate': coordinate('y'),
  radius: coordinate('radius'),
};

const ofTwo = (range, other) => [Math.min(range[0], other[0]), Math.max(range[1], other[1])];

/**
 * Colours of the chosen overlay, for each of the scenes on one scale.
 *
 * @returns a list of {pixels, width, height, legend}, or null where nothing is to be painted.
 */
export function paintOverlays(scenes, states) {
  const layers = scenes.map((scene, i) => {
    const row = OVERLAYS[states[i].over];
    if (!row || !scene.ready || !scene.view.overlays.includes(states[i].over)) return null;
    const values = row.values(scene, states[i]);
    return { scene, state: states[i], row, values, range: row.range(values, scene) };
  });
  const [first, second] = layers;
  if (first && second && first.row === second.row) {
    const shared = ofTwo(first.range, second.range);
    [first.range, second.range] = [shared, shared];
  }
  return layers.map((layer) => layer && paint(layer));
}

function paint({ scene, state, row, values, range }) {
  const scale = row.scale?.(range);
  return {
    pixels: row.paint ? row.paint(values, range, state, scene) : lookUp(values, PALETTES[scale], ...range),
    width: row.ofInput ? scene.W : scene.w,
    height: row.ofInput ? scene.H : scene.h,
    ofInput: Boolean(row.ofInput),
    legend: {
      title: row.title(state, scene),
      scale,
      range,
      wheel: state.over === 'field colours' ? state.palette : null,
      regions: state.over === 'regions' ? shares(values, scene.view.regionColors) : null,
    },
  };
}

/** Each region's colour and its share of the map. */
function shares(values, colors) {
  const counts = new Array(colors.length).fill(0);
  for (const value of values) counts[value] += 1;
  return colors.map((color, i) => ({ color, share: counts[i] / values.length }));
}

/**
 * How far two scenes differ in what lies over the image; in their outputs where nothing does.
 *
 * @returns {values, title}, or {problem} in words.
 */
export function difference(a, b, state) {
  if (!a.ready || !b.ready) return { problem: t('waiting for the numbers') };
  if (a.h !== b.h || a.w !== b.w) {
    return { problem: t('no difference: one output is {one}, the other {other}', { one: `${a.h} × ${a.w}`, other: `${b.h} × ${b.w}` }) };
  }
  const both = [a, b].every((scene) => scene.view.overlays.includes(state.over));
  const bare = [a, b].some((scene) => scene.O === 0); // static patterns have no output
  if (both ? ['field colours', 'magnitude'].includes(state.over) || (bare && state.over !== 'mask') : bare) {
    const [one, two] = [a, b].map((scene) => field(scene, nearest(scene, state)));
    const gap = one.dy.map((dy, i) => Math.hypot(dy - two.dy[i], one.dx[i] - two.dx[i]));
    return { values: gap, title: t('|Δ A − Δ B| in pixels'), scale: 'Cividis' };
  }
  const what = both && state.over === 'mask' ? 'mask' : 'output';
  const [one, two] = [a, b].map((scene) => OVERLAYS[what].values(scene, nearest(scene, state)));
  return { values: one.map((value, i) => value - two[i]), title: t('{what} A − {what} B', { what: t(what) }), scale: 'PuOr' };
}

/** The tap, group and channel that a scene has, nearest to those asked for. */
export function nearest(scene, state) {
  return {
    ...state,
    tap: Math.min(state.tap, scene.K - 1),
    group: Math.min(state.group, scene.G - 1),
    output_channel: state.output_channel === null ? null : Math.min(state.output_channel, scene.O - 1),
  };
}

/** A difference as colours, around zero where it has a sign: {pixels, legend}. */
export function paintDifference({ values, title, scale }) {
  const top = robustTop(values.map(Math.abs));
  const range = [scale === 'PuOr' ? -top : 0, top];
  return {
    pixels: lookUp(values, PALETTES[scale], ...range),
    legend: { title, scale, range, wheel: null, regions: null },
  };
}

// --- legends -----------------------------------------------------------------------------------

/** What a legend shows: its title, and either swatches, a wheel, or the stops of a scale. */
export function legendParts({ title, scale, range, wheel, regions }) {
  const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;
  if (regions) {
    const text = (share, i) => `${i}: ${Math.round(100 * share)} %`;
    return { title, swatches: regions.map(({ color, share }, i) => ({ color: css(color), text: text(share, i) })) };
  }
  if (wheel) return { title: t('{title}, rim = {top} px', { title, top: brief(range[1]) }), wheel };
  const table = PALETTES[scale];
  const stops = [0, 0.25, 0.5, 0.75, 1].map((part) => css(table[Math.round(part * (table.length - 1))]));
  return { title, stops, labels: [range[0], (range[0] + range[1]) / 2, range[1]].map(brief) };
}
