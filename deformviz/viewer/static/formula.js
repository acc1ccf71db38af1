/* The formula of one position: a row for each group and tap, made once and then rewritten. */

import { element, number, signed, write } from './dom.js';
import { t } from './words.js';

const HEAD = [
  ['tap', 'index of the tap, row by row'],
  ['position y, x', 'p0 + pk, in pixels of the map'],
  ['Δ (dy, dx)', 'the offset'],
  ['point y, x', 'where it is read'],
  ['pixel, 4 weights', 'the pixel up and left of the point; the bilinear weights of it, its right, its lower and its diagonal neighbour'],
  ['x', 'the interpolated input'],
  ['m', 'the mask'],
  ['w', 'the kernel'],
  ['product', 'w · m · x'],
];

const ROW = 19; // screen pixels, as in viewer.css
const VIEW = 240;
const REST = 60; // milliseconds
const MANY = 32; // rows, above which those out of sight may be late

export class Formula {
  constructor(box, tell) {
    this.tell = tell;
    this.line = element('div', { class: 'dv-formula' });
    this.sum = this.addText('b');
    this.mark = this.addText('span');
    this.rest = this.addText('span', 'dv-quiet');
    this.why = element('div', { class: 'dv-why' });
    this.whyText = this.why.appendChild(document.createTextNode(''));
    this.body = element('tbody');
    const table = element('table', { 'aria-label': t('the terms of the sum') });
    const head = element('tr');
    for (const [text, title] of HEAD) head.append(element('th', { scope: 'col', title: t(title) }, t(text)));
    table.append(element('thead'), this.body);
    table.tHead.append(head);
    const scroll = element('div', { class: 'dv-scroll', tabindex: 0, role: 'region', 'aria-label': t('the terms of the sum') });
    scroll.append(table);
    scroll.addEventListener('scroll', () => {
      this.scrolled = scroll.scrollTop; // asked for at every hover, it would cost a layout each
      this.drawRest();
    }, { passive: true });
    this.scrolled = 0;
    box.replaceChildren(this.line, this.why, scroll);
    this.rows = [];
  }

  addText(tag, className = '') {
    const node = element(tag, className ? { class: className } : {});
    this.line.append(node);
    return node.appendChild(document.createTextNode(''));
  }

  reset(scene, colors) {
    clearTimeout(this.later);
    this.drawn = null; // its rows are not there any more
    this.rows = colors.map((color, n) => this.makeRow(scene, color, n));
    this.body.replaceChildren(...this.rows.map((row) => row.node));
  }

  makeRow(scene, color, n) {
    const node = element('tr', { 'data-tap': n });
    const name = scene.K === 1 ? `${n}` : `${n % scene.K}`;
    const label = element('th', { scope: 'row' }, scene.G > 1 && scene.K > 1 ? t('{tap}, group {group}', { tap: name, group: Math.floor(n / scene.K) }) : name);
    const dot = element('i', { class: 'dv-dot' });
    dot.style.background = color;
    label.prepend(dot);
    node.append(label);
    const cells = HEAD.slice(1).map(() => {
      const cell = node.appendChild(element('td'));
      return cell.appendChild(document.createTextNode(''));
    });
    node.addEventListener('pointerenter', () => this.tell('light', n));
    node.addEventListener('pointerleave', () => this.tell('light', null));
    return { node, cells };
  }

  /** Nothing is known of the position: its numbers have not come. */
  wait(text) {
    this.say(text);
    clearTimeout(this.later);
    this.drawn = null;
    for (const { cells } of this.rows) for (const cell of cells) write(cell, '');
  }

  /** A sentence in the place of the sum. */
  say(text) {
    write(this.sum, text);
    for (const node of [this.mark, this.rest, this.whyText]) write(node, '');
  }

  /** What is known of a position without its input and output: where it is read, and the mask. */
  drawPlaces(text, rows, reading) {
    this.say(text);
    this.rows.forEach(({ node }) => { node.hidden = false; });
    this.drawRows(rows, reading);
  }

  /** @param {{symbol, terms, reading, why, input, exact, wire}} view what to say. */
  draw({ symbol, terms, reading, why, part, half }) {
    write(this.sum, `${symbol} = Σ w · m · x(p₀ + pₖ + Δpₖ)${terms.bias ? ' + b' : ''} = ${number(terms.total, 6)}`);
    const gap = Math.abs(terms.total - terms.output);
    const near = gap <= 1e-5 * Math.max(1, Math.abs(terms.output));
    const passed = reading.exact && near;
    write(this.mark, reading.exact && !half ? (near ? '✓' : '✗') : '');
    this.mark.parentNode.className = passed ? 'dv-passed' : 'dv-failed';
    write(this.rest, compared(terms, gap, reading.exact, half) + part);
    write(this.whyText, why);
    const shown = new Set(terms.rows.map((row) => row.n));
    this.rows.forEach(({ node }, n) => { if (node.hidden === shown.has(n)) node.hidden = !shown.has(n); });
    this.drawRows(terms.rows, reading);
  }

  drawRows(rows, reading) {
    this.drawn = { rows, reading };
    const seen = rows.length > MANY ? this.rowsInView() : [0, MANY];
    rows.slice(...seen).forEach((row) => this.drawRow(row, reading));
    clearTimeout(this.later);
    if (seen[1] - seen[0] < rows.length) this.later = setTimeout(() => this.drawRest(), REST);
  }

  /** The first and the last row in view, of those that are shown. */
  rowsInView() {
    const first = Math.floor(this.scrolled / ROW);
    return [Math.max(0, first - 1), first + Math.ceil(VIEW / ROW) + 1];
  }

  /** Rows out of sight are written when the pointer rests, or when they are scrolled to. */
  drawRest() {
    for (const row of this.drawn?.rows ?? []) this.drawRow(row, this.drawn.reading);
  }

  drawRow(row, reading) {
    const { n, around } = row;
    const pair = (values, digits, format = number) => `${format(values[2 * n], digits)}, ${format(values[2 * n + 1], digits)}`;
    const whole = Number.isInteger(reading.base[2 * n]) && Number.isInteger(reading.base[2 * n + 1]);
    const moved = [reading.point[2 * n] - reading.base[2 * n], reading.point[2 * n + 1] - reading.base[2 * n + 1]];
    const texts = [
      pair(reading.base, whole ? 0 : 2),
      `${signed(moved[0], 2)}, ${signed(moved[1], 2)}`,
      pair(reading.point, 2),
      `${number(around.y, 0)}, ${number(around.x, 0)}:  ${around.weights.map((weight) => number(weight, 2)).join('  ')}`,
      ...factors(row),
    ];
    texts.forEach((text, i) => write(this.rows[n].cells[i], text));
  }

  light(n) {
    this.rows.forEach(({ node }, i) => node.classList.toggle('dv-on', i === n));
  }
}

/** The texts of x, m, w and the product; the mask alone where no values are known. */
function factors({ channels, value, mask, weight, product }) {
  if (channels === undefined) return ['', number(mask, 3), '', ''];
  if (channels !== 1) return [t('{count} channels', { count: channels }), number(mask, 3), 'Σ', number(product, 4)];
  return [number(value, 4), number(mask, 3), number(weight, 4), number(product, 4)];
}

function compared(terms, gap, exact, half) {
  const given = number(terms.output, 6);
  if (!exact) return t('the operator gave {given} where nothing was moved by hand, {gap} from it', { given, gap: signed(terms.total - terms.output, 6) });
  const size = gap === 0 ? '0' : gap.toExponential(1).replace('-', '−');
  const rounded = half ? t(', as such large records come rounded to half precision') : '';
  return t('the operator gave {given}, difference {gap}', { given, gap: size }) + rounded;
}
