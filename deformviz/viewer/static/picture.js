/* The panes as one SVG, as they are seen: ground, values, points; and from it a PNG. */

import { element } from './dom.js';

const GAP = 10;
const INK = 'font-family="system-ui, sans-serif" font-size="11" fill="#222"';

/** A text as XML. */
function escaped(text) {
  const holder = element('i', {}, text);
  return new XMLSerializer().serializeToString(holder.firstChild);
}

/** A pane's legend, in the lower right corner of a pane of this size. */
function legendPart(pane, width, height) {
  const parts = pane.legendParts;
  if (!parts) return '';
  const box = pane.legend.getBoundingClientRect();
  const [left, top] = [width - box.width - 8, height - box.height - 8];
  const text = (content, x, y, anchor = 'start') => `<text x="${x}" y="${y}" text-anchor="${anchor}" ${INK}>${escaped(content)}</text>`;
  const drawn = [`<rect x="${left}" y="${top}" width="${box.width}" height="${box.height}" rx="4" fill="#fff" fill-opacity="0.88"/>`,
    text(parts.title, left + 8, top + 16)];
  (parts.swatches ?? []).forEach(({ color, text: label }, i) => {
    const y = top + 34 + i * ((box.height - 26) / parts.swatches.length);
    drawn.push(`<rect x="${left + 8}" y="${y - 9}" width="10" height="10" fill="${color}"/>`, text(label, left + 24, y));
  });
  if (parts.wheel) {
    const href = pane.legend.querySelector('canvas').toDataURL();
    drawn.push(`<image href="${href}" x="${left + box.width / 2 - 36}" y="${top + box.height - 80}" width="72" height="72"/>`);
  }
  if (parts.stops) drawn.push(scalePart(parts, left + 8, top + 22, box.width - 16, text));
  return drawn.join('');
}

function scalePart({ stops, labels }, x, y, width, text) {
  const id = `scale-${Math.random().toString(36).slice(2)}`;
  const colors = stops.map((color, i) => `<stop offset="${i / (stops.length - 1)}" stop-color="${color}"/>`);
  const anchors = ['start', 'middle', 'end'];
  const numbers = labels.map((label, i) => text(label, x + (i * width) / 2, y + 22, anchors[i]));
  return `<linearGradient id="${id}">${colors.join('')}</linearGradient>`
    + `<rect x="${x}" y="${y}" width="${width}" height="9" fill="url(#${id})"/>${numbers.join('')}`;
}

/** What is drawn over and under a pane, cut to its frame, at (left, top) of the picture. */
function paneParts(pane, left, top) {
  const { width, height } = pane.view;
  const place = ([y, x, h, w]) => {
    const [y0, x0] = pane.toScreen(y, x);
    const [y1, x1] = pane.toScreen(y + h, x + w);
    return `x="${x0}" y="${y0}" width="${x1 - x0}" height="${y1 - y0}" preserveAspectRatio="none"`;
  };
  const images = [];
  const over = [...pane.boxes.keys()].filter((node) => node !== pane.picture);
  for (const node of [pane.picture, ...over]) {
    const box = pane.boxes.get(node);
    const source = node === pane.picture ? node.getAttribute('src') : node.toDataURL();
    if (!box || node.hidden || !source) continue;
    const { opacity, imageRendering } = getComputedStyle(node);
    images.push(`<image href="${source}" opacity="${opacity}" style="image-rendering:${imageRendering}" ${place(box)}/>`);
  }
  return `<svg x="${left}" y="${top}" width="${width}" height="${height}">${images.join('')}${styled(pane.overlay)}${legendPart(pane, width, height)}</svg>`;
}

/** An SVG's content with its computed style written into it, as it leaves the style sheet. */
function styled(svg) {
  const copy = svg.cloneNode(true);
  const [from, to] = [svg.querySelectorAll('*'), copy.querySelectorAll('*')];
  const names = ['fill', 'fill-opacity', 'stroke', 'stroke-width', 'opacity', 'display', 'font-size', 'font-family', 'text-anchor', 'dominant-baseline', 'font-weight', 'paint-order', 'stroke-linejoin'];
  from.forEach((node, i) => {
    const style = getComputedStyle(node);
    to[i].setAttribute('style', names.map((name) => `${name}:${style.getPropertyValue(name).replaceAll('"', "'")}`).join(';'));
  });
  return [...copy.childNodes].map((node) => new XMLSerializer().serializeToString(node)).join('');
}

/** All panes of a viewer as one SVG text. */
export function pictureSVG(viewer) {
  const panels = viewer.root.querySelector('.dv-panels').getBoundingClientRect();
  const background = getComputedStyle(document.body).getPropertyValue('--body-background-fill');
  const at = (node) => {
    const { left, top } = node.getBoundingClientRect();
    return [left - panels.left + GAP, top - panels.top + GAP];
  };
  const parts = [...viewer.sides.map((side) => side.image), viewer.output].map((pane) => paneParts(pane, ...at(pane.frame)));
  for (const side of viewer.sides) {
    const [left, top] = at(side.kernel.svg);
    const { width, height } = side.kernel.svg.getBoundingClientRect();
    parts.push(`<svg x="${left}" y="${top}" width="${width}" height="${height}">${styled(side.kernel.svg)}</svg>`);
  }
  for (const caption of viewer.root.querySelectorAll('.dv-panels figcaption')) {
    if (!caption.offsetParent) continue;
    const [left, top] = at(caption);
    const color = getComputedStyle(caption).color;
    parts.push(`<text x="${left}" y="${top + 14}" font-family="system-ui, sans-serif" font-size="13" fill="${color}">${escaped(caption.innerText.trim())}</text>`);
  }
  const [width, height] = [panels.width + 2 * GAP, panels.height + 2 * GAP];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`
    + `<rect width="100%" height="100%" fill="${background}"/>${parts.join('')}</svg>`;
}

/** An SVG text as PNG, at twice its size. */
export async function toPNG(svg) {
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [2 * image.width, 2 * image.height];
    canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => { canvas.toBlob(done, 'image/png'); });
  } finally {
    URL.revokeObjectURL(url);
  }
}

export function save(blob, name) {
  const link = document.createElement('a');
  Object.assign(link, { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
