/* Points and arrows over a picture, in screen pixels. */

import { number, shape } from './dom.js';

/** What one position reads, over a pane: ghosts of the regular grid, lines, and the taps. */
export class Points {
  constructor(parent, tell) {
    this.root = shape('g', { class: 'dv-points' }, parent);
    this.ghosts = shape('path', { class: 'dv-ghosts' }, this.root);
    this.casing = shape('path', { class: 'dv-casing' }, this.root);
    this.lines = shape('path', { class: 'dv-lines' }, this.root);
    this.pixels = shape('g', { class: 'dv-pixels' }, this.root);
    this.dots = [];
    this.tell = tell;
  }

  /** As many dots as there are taps, in their colours. */
  reset(colors) {
    for (const dot of this.dots) dot.remove();
    this.radii = new Array(colors.length).fill(null);
    this.dots = colors.map((color, n) => shape('circle', { class: 'dv-tap', fill: color, 'data-tap': n }, this.root));
    this.dots.forEach((dot, n) => {
      dot.addEventListener('pointerenter', () => this.tell('light', n));
      dot.addEventListener('pointerleave', () => this.tell('light', null));
      dot.addEventListener('pointerdown', (event) => this.tell('grab', n, event));
    });
  }

  /**
   * @param places the base points and the points, in screen pixels: {base, point}, [2n].
   * @param sizes diameters; a tap that is not shown has none.
   */
  draw({ base, point }, sizes) {
    let [ghosts, lines] = ['', ''];
    for (let n = 0; n < this.dots.length; n += 1) {
      const [by, bx, y, x] = [base[2 * n], base[2 * n + 1], point[2 * n], point[2 * n + 1]];
      const shown = sizes[n] > 0 && Number.isFinite(y) && Number.isFinite(x);
      this.place(n, y, x, shown ? sizes[n] / 2 : 0);
      if (!(sizes[n] > 0)) continue;
      ghosts += `M${bx - 2} ${by - 2}h4v4h-4z`;
      if (shown && (by !== y || bx !== x)) lines += `M${bx} ${by}L${x} ${y}`;
    }
    this.ghosts.setAttribute('d', ghosts);
    this.lines.setAttribute('d', lines);
    this.casing.setAttribute('d', lines);
  }

  /** Attributes are written only where they change: at each hover there are hundreds. */
  place(n, y, x, radius) {
    const dot = this.dots[n];
    const rounded = Math.round(10 * radius) / 10;
    if (this.radii[n] !== rounded) dot.r.baseVal.value = rounded;
    this.radii[n] = rounded;
    if (rounded === 0) return;
    dot.cx.baseVal.value = x;
    dot.cy.baseVal.value = y;
  }

  light(n) {
    this.root.classList.toggle('dv-lit', n !== null);
    this.dots.forEach((dot, i) => dot.classList.toggle('dv-on', i === n));
  }

  /** The four pixels that a tap reads, as squares of `scale` screen pixels: [{y, x, weight}]. */
  showPixels(pixels, scale) {
    this.pixels.replaceChildren(...pixels.filter(({ weight }) => weight > 0).map(({ y, x, weight }) => {
      const box = shape('g');
      shape('rect', { x: x - scale / 2, y: y - scale / 2, width: scale, height: scale, 'fill-opacity': 0.15 + 0.55 * weight }, box);
      if (scale > 34) {
        shape('text', { x, y }, box).textContent = number(weight, 2);
      }
      return box;
    }));
  }
}

/** A field as arrows of true length; starts and ends in screen pixels, [2n], coloured by length. */
export function drawArrows(group, { start, end, color }) {
  const paths = new Map();
  for (let n = 0; n < color.length; n += 1) {
    const [y0, x0, y1, x1] = [start[2 * n], start[2 * n + 1], end[2 * n], end[2 * n + 1]];
    const length = Math.hypot(y1 - y0, x1 - x0);
    if (!(length > 0.5)) continue;
    const head = Math.min(5, length / 2) / length;
    const [dy, dx] = [(y1 - y0) * head, (x1 - x0) * head];
    const barb = (turn) => `M${(x1 - dx - turn * dy * 0.5).toFixed(1)} ${(y1 - dy + turn * dx * 0.5).toFixed(1)}L${x1.toFixed(1)} ${y1.toFixed(1)}`;
    const path = `M${x0.toFixed(1)} ${y0.toFixed(1)}L${x1.toFixed(1)} ${y1.toFixed(1)}${barb(1)}${barb(-1)}`;
    paths.set(color[n], (paths.get(color[n]) ?? '') + path);
  }
  const casing = shape('path', { class: 'dv-arrow-casing', d: [...paths.values()].join('') });
  group.replaceChildren(casing, ...[...paths].map(([stroke, d]) => shape('path', { class: 'dv-arrow', d, stroke })));
}
