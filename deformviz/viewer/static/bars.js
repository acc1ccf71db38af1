/* A histogram's bars as SVG: a list of options, one of which may be chosen, with axes around it. */

import { brief, clamp, element, shape } from './dom.js';
import { t } from './words.js';

const HEIGHT = 190;
const MARGIN = { top: 18, right: 8, bottom: 34, left: 58 };
const FEWEST = 9; // bins: a single bar as wide as the plot would say little
const LETTER = 6.2; // screen pixels

/** A count with thousands apart. */
export const whole = (count) => count.toLocaleString('en-US');

export class Bars {
  /** @param tell is told 'look', bin or null, when one is under the pointer or walked to; and 'pick', bin. */
  constructor(box, tell) {
    this.box = box;
    this.tell = tell;
    this.svg = shape('svg', { class: 'dv-bars', role: 'listbox', tabindex: 0, 'aria-orientation': 'horizontal' }, box);
    this.name = `dv-bar-${Math.random().toString(36).slice(2)}`; // ids are the whole page's
    this.nodes = new Map();
    this.cursor = null;
    this.svg.addEventListener('keydown', (event) => this.onKey(event));
    this.svg.addEventListener('blur', () => this.look(null));
    new ResizeObserver(() => this.drawn && this.draw(this.drawn)).observe(box);
  }

  /** @param {{bins, counts, title, log, chosen}} drawn what to draw; `chosen` is a bin or null. */
  draw(drawn) {
    this.drawn = drawn;
    const { bins, counts, title, log, chosen } = drawn;
    const width = Math.max(this.box.clientWidth, 200);
    this.svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    this.svg.setAttribute('aria-label', t("histogram of {title}: arrow keys walk the bars, Enter shows where a bar's values are, Escape frees it", { title }));
    const shown = binsShown(counts);
    const unit = (width - MARGIN.left - MARGIN.right) / shown.length;
    const scale = log ? logScale(Math.max(...counts)) : linearScale(Math.max(...counts));
    this.nodes = new Map(shown.map((bin, i) => [bin, this.option(bins[bin], bin, counts[bin], MARGIN.left + i * unit, unit, scale)]));
    this.svg.replaceChildren(axes(shown, bins, unit, width, scale, title), ...this.nodes.values());
    if (!this.nodes.has(this.cursor)) this.cursor = null;
    this.choose(chosen);
  }

  option({ label }, bin, count, left, unit, scale) {
    const node = shape('g', { role: 'option', id: `${this.name}-${bin}`, 'data-bin': bin, 'aria-label': `${label}: ${whole(count)}` });
    const bottom = HEIGHT - MARGIN.bottom;
    const height = count > 0 ? Math.max(scale.part(count) * (bottom - MARGIN.top), 1.5) : 0;
    const gap = Math.min(2, unit / 6);
    shape('rect', { class: 'dv-hit', x: left, y: MARGIN.top, width: unit, height: bottom - MARGIN.top }, node);
    shape('rect', { class: 'dv-count', x: left + gap / 2, y: bottom - height, width: unit - gap, height }, node);
    node.addEventListener('pointerenter', () => this.look(bin));
    node.addEventListener('pointerleave', () => this.look(null));
    if (count > 0) node.addEventListener('click', () => this.tell('pick', bin));
    else node.classList.add('dv-empty');
    return node;
  }

  choose(chosen) {
    if (this.drawn) this.drawn.chosen = chosen;
    for (const [bin, node] of this.nodes) node.setAttribute('aria-selected', bin === chosen);
  }

  look(bin) {
    for (const [each, node] of this.nodes) node.classList.toggle('dv-on', each === bin);
    this.tell('look', bin);
  }

  onKey(event) {
    const bins = [...this.nodes.keys()];
    const start = this.cursor ?? this.drawn?.chosen ?? null;
    const here = bins.indexOf(start);
    const places = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: bins.length - 1 };
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      if (here >= 0 && this.drawn.counts[start] > 0) this.tell('pick', start);
    }
    if (!(event.key in places) || !bins.length) return;
    event.preventDefault();
    this.cursor = bins[clamp(places[event.key], 0, bins.length - 1)];
    this.svg.setAttribute('aria-activedescendant', `${this.name}-${this.cursor}`);
    this.look(this.cursor);
  }
}

/** From the first to the last bin that has a value; NaN, the last of all, only where there is any. */
function binsShown(counts) {
  const nan = counts.length - 1;
  const found = [...counts.keys()].filter((bin) => bin < nan && counts[bin] > 0);
  let [first, last] = [found[0] ?? 0, found.at(-1) ?? 0];
  while (last - first + 1 < FEWEST) { // as many on both sides, as far as there are some
    if (first > 0) first -= 1;
    if (last < nan - 1) last += 1;
  }
  const shown = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return counts[nan] > 0 ? [...shown, nan] : shown;
}

// --- axes --------------------------------------------------------------------------------------

/** {part: the share of the height, ticks: the counts to write}. */
function linearScale(most) {
  const rough = most / 3;
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= rough) * power);
  const ticks = Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
  return { part: (count) => count / (most || 1), ticks };
}

/** One value stands a little above the ground, so that it is seen. */
function logScale(most) {
  const [low, high] = [Math.log10(0.5), Math.log10(Math.max(most, 1))];
  const every = Math.ceil((Math.floor(high) + 1) / 5);
  const ticks = Array.from({ length: Math.floor(high / every) + 1 }, (_, i) => 10 ** (i * every));
  return { part: (count) => (Math.log10(count) - low) / (high - low), ticks };
}

function axes(shown, bins, unit, width, scale, title) {
  const root = shape('g', { class: 'dv-axes', 'aria-hidden': true });
  const bottom = HEIGHT - MARGIN.bottom;
  const right = width - MARGIN.right;
  for (const count of scale.ticks) {
    const y = bottom - Math.max(scale.part(count), 0) * (bottom - MARGIN.top);
    shape('path', { d: `M${MARGIN.left} ${y}H${right}` }, root);
    shape('text', { x: MARGIN.left - 6, y: y + 3.5, 'text-anchor': 'end' }, root).textContent = whole(count);
  }
  shape('path', { class: 'dv-zero', d: `M${MARGIN.left} ${bottom}H${right}` }, root);
  for (const { x, text, tick } of withRoom(binLabels(shown, bins, unit), width)) {
    if (tick) shape('path', { d: `M${x} ${bottom}v4` }, root);
    shape('text', { x, y: bottom + 15, 'text-anchor': 'middle' }, root).textContent = text;
  }
  shape('text', { x: (MARGIN.left + right) / 2, y: HEIGHT - 4, 'text-anchor': 'middle' }, root).textContent = title;
  shape('text', { x: MARGIN.left - 6, y: 10, 'text-anchor': 'end' }, root).textContent = t('values');
  return root;
}

/** What stands under the bins: single values in the middle of theirs, powers of ten between two. */
function binLabels(shown, bins, unit) {
  const [single, between] = [[], []];
  shown.forEach((bin, i) => {
    const { kind, low, label } = bins[bin];
    const left = MARGIN.left + i * unit;
    if (['zero', 'infinite', 'nan'].includes(kind)) single.push({ x: left + unit / 2, text: label });
    else if (i > 0 && isPowerOfTen(Math.abs(low))) between.push({ x: left, text: brief(low), tick: true });
  });
  return [...single, ...between];
}

function isPowerOfTen(size) {
  const power = Math.log10(size);
  return Math.abs(power - Math.round(power)) < 1e-6;
}

/** The labels that do not run into one before them. */
function withRoom(labels, width) {
  const placed = [];
  for (const label of labels) {
    const half = (label.text.length * LETTER) / 2 + 2;
    const x = clamp(label.x, half, width - half);
    if (placed.every((other) => Math.abs(other.x - x) > half + other.half)) placed.push({ ...label, x, half });
  }
  return placed;
}

/** The same numbers as a table. */
export function countTable(bins, counts) {
  const table = element('table', { 'aria-label': t('the counts') });
  const head = element('tr');
  for (const name of [t('bin'), t('values'), t('share')]) head.append(element('th', { scope: 'col' }, name));
  table.append(element('thead'), element('tbody'));
  table.tHead.append(head);
  const all = counts.reduce((sum, count) => sum + count, 0);
  counts.forEach((count, bin) => {
    if (!count) return;
    const row = element('tr', { 'data-bin': bin });
    row.append(element('th', { scope: 'row' }, bins[bin].label), element('td', {}, whole(count)), element('td', {}, percent(count, all)));
    table.tBodies[0].append(row);
  });
  return table;
}

/** A share of all, for reading: no less than the smallest that is not nothing. */
export function percent(count, all) {
  const share = (100 * count) / all;
  return share < 0.01 ? '< 0.01 %' : `${Number(share.toPrecision(3))} %`;
}
