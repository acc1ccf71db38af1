/* Where each channel of a layer is shifted to, as a scatter around its own place. */

import { brief, element, shape } from './dom.js';
import { roundTicks } from './train_curves.js';
import { t } from './words.js';

/** Whether a layer has one point a channel, everywhere the same: its shifts. */
export function hasShifts({ taps, groups, data }) {
  const { offset } = data.tensors ?? {};
  return taps === 1 && groups > 1 && Boolean(offset) && offset.shape[3] === 1 && offset.shape[4] === 1;
}

/** Draw the shifts of a layer's view; `reach` is the axes' end in pixels. */
export function drawScatter(root, view, reach) {
  const svg = shape('svg', { role: 'img', viewBox: '-75 -75 150 150' });
  const { offset } = view.data.tensors;
  const ticks = roundTicks(Math.max(reach, 0.1), 3);
  const unit = 60 / ticks.at(-1);
  for (const tick of ticks) {
    shape('circle', { class: 'dv-grid', r: tick * unit }, svg);
    if (tick) shape('text', { x: 2, y: -tick * unit - 2 }, svg).textContent = brief(tick);
  }
  shape('path', { class: 'dv-grid', d: 'M-66 0H66M0 -66V66' }, svg);
  const shifts = Array.from({ length: view.groups }, (_, g) => [offset.at(g, 0, 0, 0, 0), offset.at(g, 0, 1, 0, 0)]);
  shifts.forEach(([dy, dx], g) => {
    const dot = shape('circle', { class: 'dv-shift', cx: dx * unit, cy: dy * unit, r: 3, fill: view.colors[g] }, svg);
    shape('title', {}, dot).textContent = t('channel {channel}: {dy}, {dx} pixels', { channel: g, dy: dy.toFixed(2), dx: dx.toFixed(2) });
  });
  const mean = shifts.reduce((sum, [dy, dx]) => sum + Math.hypot(dy, dx), 0) / shifts.length;
  const title = t('shifts of {count} channels', { count: shifts.length });
  const caption = element('figcaption');
  caption.append(element('span', {}, title), element('span', { class: 'dv-quiet' }, t('mean length {mean} px', { mean: mean.toFixed(2) })));
  svg.setAttribute('aria-label', title);
  root.replaceChildren(caption, svg);
}
