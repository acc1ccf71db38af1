/* Where each channel of a layer is shifted to, as a scatter around its own place. */

import { brief, element, shape } from './dom.js';
import { roundTicks } from './train_curves.js';
import { t } from './words.js';

const RADIUS = 66; // of the outermost ring, in units of the drawing
const DIAGONAL = Math.SQRT1_2;

/** Whether a layer has one point a channel, everywhere the same: its shifts. */
export function hasShifts({ taps, groups, data }) {
  const { offset } = data.tensors ?? {};
  return taps === 1 && groups > 1 && Boolean(offset) && offset.shape[3] === 1 && offset.shape[4] === 1;
}

/** Draw the shifts of a layer's view; `reach` is the axes' end in pixels. */
export function drawScatter(root, view, reach) {
  const svg = shape('svg', { role: 'img', viewBox: '-74 -74 148 148' });
  const { offset } = view.data.tensors;
  const ticks = roundTicks(Math.max(reach, 0.1), 3);
  const unit = RADIUS / ticks.at(-1);
  shape('path', { class: 'dv-grid', d: `M${-RADIUS} 0H${RADIUS}M0 ${-RADIUS}V${RADIUS}` }, svg);
  for (const tick of ticks.slice(1)) shape('circle', { class: 'dv-grid', r: tick * unit }, svg);
  const shifts = Array.from({ length: view.groups }, (_, g) => [offset.at(g, 0, 0, 0, 0), offset.at(g, 0, 1, 0, 0)]);
  shifts.forEach(([dy, dx], g) => {
    const dot = shape('circle', { class: 'dv-shift', cx: dx * unit, cy: dy * unit, r: 3, fill: view.colors[g] }, svg);
    shape('title', {}, dot).textContent = t('channel {channel}: {dy}, {dx} pixels', { channel: g, dy: dy.toFixed(2), dx: dx.toFixed(2) });
  });
  // Along the diagonal, where the axes' names are not; over the points, as some lie there.
  for (const tick of ticks.slice(1)) inscribe(svg, DIAGONAL * tick * unit, DIAGONAL * tick * unit, 'middle', `${brief(tick)} px`);
  inscribe(svg, RADIUS + 6, -4, 'end', 'dx');
  inscribe(svg, 4, RADIUS + 6, 'start', 'dy');
  const mean = shifts.reduce((sum, [dy, dx]) => sum + Math.hypot(dy, dx), 0) / shifts.length;
  const title = t('shifts of {count} channels', { count: shifts.length });
  const caption = element('figcaption');
  caption.append(element('span', { title }, t('shifts')), element('span', { class: 'dv-quiet' }, t('mean length {mean} px', { mean: mean.toFixed(2) })));
  svg.setAttribute('aria-label', title);
  root.replaceChildren(caption, svg);
}

function inscribe(svg, x, y, anchor, text) {
  shape('text', { x, y, 'text-anchor': anchor }, svg).textContent = text;
}
