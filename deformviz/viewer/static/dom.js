/* Small helpers for elements and numbers. Text always goes through textContent: names out of a
 * checkpoint are never read as HTML. */

const SVG = 'http://www.w3.org/2000/svg';

export function element(tag, attributes = {}, text = '') {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== '') node.textContent = text;
  return node;
}

export function shape(tag, attributes = {}, parent = null) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent?.append(node);
  return node;
}

/** `value` with a true minus sign, and none before 0; a dash for what is no number. */
export function number(value, digits) {
  if (!Number.isFinite(value)) return '–';
  const text = value.toFixed(digits);
  if (text.charCodeAt(0) !== 45) return text;
  return Number(text) === 0 ? text.slice(1) : `−${text.slice(1)}`;
}

/** The same with a plus sign. */
export function signed(value, digits) {
  const text = number(value, digits);
  return value >= 0 || text.charCodeAt(0) === 48 ? `+${text}` : text;
}

/** A short text for any magnitude, as on a scale. */
export const brief = (value) => String(Number(value.toPrecision(3))).replace('-', '−');

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Set a text only where it changes: a layout costs more than a comparison. */
export function write(node, text) {
  if (node.data !== text) node.data = text;
}

const LATEST = 100; // milliseconds: a page that is not in view has no frames

/** Promise that what is drawn now has been handed over to be shown. */
export function shown() {
  const { requestAnimationFrame: frame } = window;
  return new Promise((done) => {
    frame(() => frame(done));
    setTimeout(done, LATEST);
  });
}
