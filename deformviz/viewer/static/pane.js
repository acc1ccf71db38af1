/* One picture with what lies over it: plotly draws the ground and does zoom and pan; over it lie
 * canvases with values (one screen element a map pixel) and an SVG with points, both placed by the
 * ground's axes. Coordinates are the figure's: (y, x) in pixels of the image or of the output. */

import { element, number, shape } from './dom.js';
import { directionColors, legendParts } from './layers.js';

const CONFIG = { responsive: false, displayModeBar: false, scrollZoom: true, doubleClick: 'reset', showSendToCloud: false };
const CLICK_TRAVEL = 4; // a press that moves further, in screen pixels, is a drag

export class Pane {
  /** @param root an element with a `[data-figure]` inside. */
  constructor(root) {
    this.root = root;
    this.ground = root.querySelector('[data-figure]');
    this.frame = element('div', { class: 'dv-frame' });
    this.clip = element('div', { class: 'dv-clip' });
    this.values = element('canvas', { class: 'dv-values' });
    this.shade = element('canvas', { class: 'dv-shade' });
    this.overlay = shape('svg', { class: 'dv-overlay' });
    this.legend = element('div', { class: 'dv-legend' });
    this.clip.append(this.values, this.shade, this.overlay, this.legend);
    this.ground.after(this.frame);
    this.frame.append(this.ground, this.clip);
    this.boxes = new Map();
    this.onMoved = () => {};
    this.drawn = false;
    this.lastGround = '';
    new ResizeObserver(() => this.resize()).observe(this.frame);
    for (const name of ['scroll', 'resize']) {
      window.addEventListener(name, () => { this.bounds = null; }, { capture: true, passive: true });
    }
  }

  /** Draw the ground, unless it is the one that is there. A zoom is kept where none is given. */
  async draw(figure, zoom) {
    const text = JSON.stringify(figure);
    if (text === this.lastGround) {
      if (zoom !== undefined) await this.setZoom(zoom ?? this.whole);
      this.place();
      return;
    }
    this.lastGround = text;
    const { xaxis, yaxis } = figure.layout;
    this.whole = [yaxis.range[1], xaxis.range[0], yaxis.range[0], xaxis.range[1]];
    await Plotly.react(this.ground, figure.data, filling(figure.layout, zoom ?? this.whole), CONFIG);
    if (!this.drawn) {
      this.ground.on('plotly_relayouting', () => this.place());
      this.ground.on('plotly_relayout', () => this.place());
      this.drawn = true;
    } else if (zoom) await this.setZoom(zoom);
    this.place();
  }

  resize() {
    if (!this.drawn || !this.frame.clientWidth) return;
    const all = this.seesAll;
    Promise.resolve(Plotly.Plots.resize(this.ground))
      .then(() => all && this.setZoom(this.whole))
      .then(() => this.place());
  }

  get axes() { return this.ground._fullLayout; }

  /** (top, left, bottom, right) of what is in view. */
  get zoom() {
    const { xaxis, yaxis } = this.axes;
    return [yaxis.range[1], xaxis.range[0], yaxis.range[0], xaxis.range[1]];
  }

  /** Whether the whole picture is in view. */
  get seesAll() {
    const [top, left, bottom, right] = this.zoom;
    return top <= this.whole[0] + 0.01 && left <= this.whole[1] + 0.01
      && bottom >= this.whole[2] - 0.01 && right >= this.whole[3] - 0.01;
  }

  setZoom([top, left, bottom, right]) {
    return Plotly.relayout(this.ground, { 'xaxis.range': [left, right], 'yaxis.range': [bottom, top] });
  }

  /** Screen pixels within the clip for a place of the figure. */
  toScreen(y, x) { return [this.axes.yaxis.d2p(y), this.axes.xaxis.d2p(x)]; }

  /** Screen pixels for one pixel of the figure. */
  get scale() { return this.axes.xaxis.d2p(1) - this.axes.xaxis.d2p(0); }

  /** The figure's place under a pointer, or null beside the picture. */
  placeUnder(event) {
    this.bounds ??= this.clip.getBoundingClientRect();
    const y = this.axes.yaxis.p2d(event.clientY - this.bounds.top);
    const x = this.axes.xaxis.p2d(event.clientX - this.bounds.left);
    const [top, left, bottom, right] = this.whole;
    return y >= top && y <= bottom && x >= left && x <= right ? [y, x] : null;
  }

  /** Put everything over the ground where the ground now is. */
  place() {
    if (!this.drawn) return;
    const { xaxis, yaxis } = this.axes;
    const style = { left: xaxis._offset, top: yaxis._offset, width: xaxis._length, height: yaxis._length };
    for (const [name, value] of Object.entries(style)) this.clip.style[name] = `${value}px`;
    for (const [canvas, box] of this.boxes) this.placeCanvas(canvas, box);
    this.bounds = null;
    this.onMoved();
  }

  placeCanvas(canvas, [top, left, height, width]) {
    const [y0, x0] = this.toScreen(top, left);
    const [y1, x1] = this.toScreen(top + height, left + width);
    Object.assign(canvas.style, { left: `${x0}px`, top: `${y0}px`, width: `${x1 - x0}px`, height: `${y1 - y0}px` });
  }

  /** Lay values over the picture: RGBA bytes of a map whose box is (top, left, height, width). */
  lay(painted, box) {
    this.values.hidden = !painted;
    this.showLegend(painted?.legend);
    if (!painted) return;
    const { pixels, width, height } = painted;
    Object.assign(this.values, { width, height });
    this.values.getContext('2d').putImageData(new ImageData(pixels, width, height), 0, 0);
    this.boxes.set(this.values, box);
    this.placeCanvas(this.values, box);
  }

  showLegend(legend) {
    this.legend.hidden = !legend;
    this.legendParts = legend ? legendParts(legend) : null;
    if (legend) this.legend.replaceChildren(...legendNodes(this.legendParts));
  }

  /** `tell` where the pointer is, and null when it leaves. */
  onHover(tell) {
    // plotly's own hover has nothing to show here, and would ask for a layout of the page each time.
    this.frame.addEventListener('mousemove', (event) => {
      if (event.buttons === 0) event.stopPropagation();
    }, true);
    this.frame.addEventListener('pointermove', (event) => {
      if (this.drawn && event.buttons === 0) tell(this.placeUnder(event), event);
    });
    this.frame.addEventListener('pointerleave', () => tell(null));
  }

  onClick(tell) {
    this.frame.addEventListener('pointerdown', (down) => {
      if (down.button !== 0 || down.target.closest('.dv-tap')) return; // a tap has its own press
      // plotly lays a cover over the page while the button is down, so the release is the window's.
      window.addEventListener('pointerup', (up) => {
        const travel = Math.hypot(up.clientX - down.clientX, up.clientY - down.clientY);
        const place = this.drawn && travel <= CLICK_TRAVEL ? this.placeUnder(up) : null;
        if (!place) return;
        this.root.focus({ preventScroll: true }); // plotly keeps the press from doing so
        tell(place);
      }, { once: true, capture: true });
    }, true);
  }
}

/** A layout whose axes fill the pane, so that a zoom has all of it; plotly is given a copy. */
function filling(layout, [top, left, bottom, right]) {
  const { xaxis, yaxis } = layout;
  return {
    ...layout,
    xaxis: { ...xaxis, range: [left, right], constrain: 'range' },
    yaxis: { ...yaxis, range: [bottom, top], constrain: 'range' },
  };
}

function legendNodes({ title, swatches, wheel, stops, labels }) {
  const nodes = [element('div', {}, title)];
  for (const { color, text } of swatches ?? []) {
    const line = element('div', { class: 'dv-swatch' }, text);
    const box = element('i');
    box.style.background = color;
    line.prepend(box);
    nodes.push(line);
  }
  if (wheel) nodes.push(wheelNode(wheel));
  if (stops) {
    const bar = element('div', { class: 'dv-gradient' });
    bar.style.background = `linear-gradient(to right, ${stops.join(', ')})`;
    const line = element('div', { class: 'dv-labels' });
    line.append(...labels.map((text) => element('span', {}, text)));
    nodes.push(bar, line);
  }
  return nodes;
}

/** A disc whose colours are those of vectors from its centre. */
function wheelNode(palette) {
  const size = 72;
  const canvas = element('canvas', { width: size, height: size, role: 'img', 'aria-label': 'colour by direction' });
  const axis = Float32Array.from({ length: size }, (_, i) => (2 * i) / (size - 1) - 1);
  const dy = Float32Array.from({ length: size * size }, (_, i) => axis[Math.floor(i / size)]);
  const dx = Float32Array.from({ length: size * size }, (_, i) => axis[i % size]);
  const pixels = directionColors({ dy, dx }, 1, palette);
  dy.forEach((y, i) => { if (Math.hypot(y, dx[i]) > 1) pixels[4 * i + 3] = 0; });
  canvas.getContext('2d').putImageData(new ImageData(pixels, size, size), 0, 0);
  return canvas;
}

// --- points ------------------------------------------------------------------------------------

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
