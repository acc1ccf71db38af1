/* Keys, and taps that are dragged. */

import { clamp } from './dom.js';
import { t } from './words.js';

export class Hands {
  constructor(viewer) {
    this.viewer = viewer;
  }

  onKey(event) {
    const { viewer } = this;
    if (!viewer.a.scene) return;
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step], ArrowRight: [0, step] };
    const keys = {
      Escape: () => { viewer.about.free(); viewer.free(); },
      Enter: () => viewer.pin(viewer.state.y, viewer.state.x),
      '[': () => this.lightNext(-1),
      ']': () => this.lightNext(1),
      '+': () => this.zoomBy(0.8),
      '=': () => this.zoomBy(0.8),
      '-': () => this.zoomBy(1.25),
      0: () => this.zoomOut(),
    };
    const known = event.key in moves || event.key in keys;
    if (!known || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    viewer.play.sweep(false);
    if (event.key in keys) keys[event.key]();
    else if (event.altKey) this.nudge(moves[event.key]);
    else this.step(moves[event.key]);
  }

  step([dy, dx]) {
    const { a, state } = this.viewer;
    this.viewer.pin(clamp(state.y + dy, 0, a.scene.h - 1), clamp(state.x + dx, 0, a.scene.w - 1));
  }

  /** Light the next tap up, for the eyes and for a screen reader. */
  lightNext(step) {
    const { a, sides } = this.viewer;
    const count = a.scene.G * a.scene.K;
    const start = step > 0 ? -1 : count;
    const n = ((a.lit ?? start) + step + count) % count;
    for (const side of sides) side.light(n);
    const cells = [...a.formula.rows[n].node.children].map((cell) => cell.textContent);
    this.viewer.tell(t('tap {tap}', { tap: cells.join('; ') }));
  }

  /** Move the lit tap by a quarter of a pixel, with Shift by two and a half. */
  nudge([dy, dx]) {
    const { viewer } = this;
    if (viewer.a.lit === null) return;
    const [y, x] = viewer.edit.dragged.get(viewer.a.lit) ?? [0, 0];
    this.putTap(viewer.a.lit, y + dy / 4, x + dx / 4);
    viewer.say();
  }

  putTap(n, dy, dx) {
    const { viewer } = this;
    viewer.play.sweep(false);
    viewer.state.pinned = true;
    viewer.edit.dragged.set(n, [dy, dx]);
    viewer.drawPosition();
  }

  zoomOut() {
    const { image } = this.viewer.a;
    image.setZoom(image.whole);
  }

  /** Zoom around the position. */
  zoomBy(factor) {
    const { a, state } = this.viewer;
    const [cy, cx] = a.scene.groundOf(state.y, state.x);
    const [top, left, bottom, right] = a.image.zoom;
    const about = (centre, end) => centre + (end - centre) * factor;
    a.image.setZoom([about(cy, top), about(cx, left), about(cy, bottom), about(cx, right)]);
  }

  /** What a side tells of a tap: the pointer is on it, or has gripped it. */
  onTap(side, where, what, n, event) {
    if (what === 'grab') {
      this.grab(side, where, n, event);
      return;
    }
    for (const each of this.viewer.sides) each.light(n !== null && n < each.scene.G * each.scene.K ? n : null);
  }

  /** Drag a tap; a press without a movement chooses it for the layers. */
  grab(side, where, n, down) {
    down.preventDefault();
    down.stopPropagation();
    const { viewer } = this;
    const { image_stride: stride } = side.scene.grid;
    const unit = where === 'image' ? stride.map((pixels) => pixels * side.image.scale) : [side.kernel.unit, side.kernel.unit];
    const [y, x] = viewer.edit.dragged.get(n) ?? [0, 0];
    let moved = false;
    const move = (event) => {
      const [dy, dx] = [event.clientY - down.clientY, event.clientX - down.clientX];
      moved ||= Math.hypot(dy, dx) > 3;
      if (moved) this.putTap(n, y + dy / unit[0], x + dx / unit[1]);
    };
    const drop = () => {
      window.removeEventListener('pointermove', move, true);
      if (!moved) viewer.set({ tap: n % side.scene.K, group: Math.floor(n / side.scene.K) });
    };
    window.addEventListener('pointermove', move, true);
    window.addEventListener('pointerup', drop, { once: true, capture: true });
  }
}
