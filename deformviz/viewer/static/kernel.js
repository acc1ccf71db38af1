/* The K taps of a position around the kernel's centre, one panel for each offset group. */

import { brief, clamp, shape } from './dom.js';
import { Points } from './points.js';
import { t } from './words.js';

const MOST_PANELS = 4;
const TITLE = 15;
const TICKS = { left: 26, bottom: 16 };
const LABEL = 27; // screen pixels for the number at a tick, and a space

export class KernelView {
  constructor(root, tell) {
    this.box = root.querySelector('[data-figure]');
    this.svg = shape('svg', { class: 'dv-kernel-plot' }, this.box);
    this.axes = shape('g', { class: 'dv-axes' }, this.svg);
    this.points = new Points(this.svg, tell);
    this.labels = shape('g', { class: 'dv-tap-labels' }, this.svg);
    this.labels.setAttribute('aria-hidden', 'true');
    this.onMoved = () => {};
    this.size = [0, 0];
    new ResizeObserver(() => { this.measure(); this.layOut(); this.onMoved(); }).observe(this.box);
  }

  /** @param scene whose groups and taps to make room for; `reach` is the axes' end, in pixels. */
  reset(scene, colors) {
    const shared = scene.K === 1 || scene.G > MOST_PANELS;
    Object.assign(this, { K: scene.K, panels: shared ? 1 : scene.G, shared, reach: scene.view.reach });
    this.points.reset(colors);
    const texts = scene.K <= 9 && scene.K > 1 ? colors.map((_, n) => n % scene.K) : [];
    this.labels.replaceChildren(...texts.map((text) => {
      const label = shape('text');
      label.textContent = text;
      return label;
    }));
    this.layOut();
  }

  measure() { this.size = [this.box.clientWidth, this.box.clientHeight]; }

  layOut() {
    if (!this.size[0]) this.measure(); // else it is told of: to ask would cost a layout
    const [width, height] = this.size;
    if (!this.reach || !width || !height) return;
    this.svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const title = this.panels > 1 ? TITLE : 4;
    const room = Math.min((width - TICKS.left) / this.panels - 6, height - TICKS.bottom - title);
    const side = Math.max(room, 20);
    const free = Math.max(0, width - TICKS.left - this.panels * (side + 6)) / 2;
    this.side = side;
    this.middles = Array.from({ length: this.panels }, (_, i) => [
      title + side / 2, TICKS.left + free + i * (side + 6) + side / 2]);
    this.unit = side / 2 / this.reach;
    this.axes.replaceChildren();
    this.middles.forEach((middle, i) => this.drawAxes(middle, i));
  }

  drawAxes([cy, cx], panel) {
    const half = this.side / 2;
    shape('rect', { x: cx - half, y: cy - half, width: this.side, height: this.side }, this.axes);
    const step = this.tickStep();
    for (let value = -Math.floor(this.reach / step) * step; value <= this.reach; value += step) {
      const place = value * this.unit;
      const kind = Math.abs(value) < step / 2 ? 'dv-zero' : '';
      shape('path', { d: `M${cx - half} ${cy + place}h${this.side}M${cx + place} ${cy - half}v${this.side}`, class: kind }, this.axes);
      this.text(brief(value), cx + place, cy + half + 11, 'middle');
      if (panel === 0) this.text(brief(value), cx - half - 4, cy + place + 4, 'end');
    }
    if (this.panels > 1) this.text(t('group {group}', { group: panel }), cx, cy - half - 4, 'middle');
  }

  /** Between ticks whose labels have room: else there is one on each side of the middle. */
  tickStep() {
    const step = niceStep(Math.max(this.reach / 4, LABEL / this.unit));
    const power = 10 ** Math.floor(Math.log10(this.reach));
    return step <= this.reach ? step : power * Math.floor(this.reach / power);
  }

  text(content, x, y, anchor) {
    shape('text', { x, y, 'text-anchor': anchor }, this.axes).textContent = content;
  }

  /** A point around the centre, in screen pixels; one beyond the axes is held at their end. */
  toScreen(n, dy, dx) {
    const [cy, cx] = this.middles[this.shared ? 0 : Math.floor(n / this.K)];
    return [cy + clamp(dy, -this.reach, this.reach) * this.unit, cx + clamp(dx, -this.reach, this.reach) * this.unit];
  }

  draw(reading, sizes) {
    if (!this.middles) return;
    const [cy, cx] = reading.centre;
    const project = (points) => {
      const places = new Float64Array(2 * reading.count);
      for (let n = 0; n < reading.count; n += 1) {
        places.set(this.toScreen(n, points[2 * n] - cy, points[2 * n + 1] - cx), 2 * n);
      }
      return places;
    };
    const places = { base: project(reading.base), point: project(reading.point) };
    this.points.draw(places, sizes);
    [...this.labels.children].forEach((label, n) => {
      label.setAttribute('x', places.point[2 * n + 1]);
      label.setAttribute('y', places.point[2 * n]);
    });
  }
}

/** The first of 1, 2 and 5 times a power of ten that is at least `value`. */
function niceStep(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => step * power >= value);
}
