/* Which part of a picture is in view, and the gestures that change it: wheel, drag, pinch, double
 * click. Coordinates are the picture's own: (y, x) in its pixels. */

import { clamp } from './dom.js';

const LARGEST = 400; // screen pixels for one pixel
const SMALLEST = 0.125; // of the size at which the whole picture fits: points may lie far outside
const WHEEL_STEP = 0.002; // how much a screen pixel of turning changes, in powers of e
const WHEEL_LINE = 16; // screen pixels of a line, where a wheel counts in lines

export const CLICK_TRAVEL = 4; // a press that moves further, in screen pixels, is a drag

export class Zoom {
  /** @param frame the element that the picture fills; `onChange` is told of every change. */
  constructor(frame, onChange) {
    this.frame = frame;
    this.onChange = onChange;
    this.whole = null;
    this.asked = null;
    [this.width, this.height, this.scale, this.top, this.left] = [0, 0, 1, 0, 0];
    this.pressed = new Map(); // where each pointer that is down was last
    this.pinched = false;
    frame.addEventListener('wheel', (event) => this.onWheel(event), { passive: false });
    frame.addEventListener('pointerdown', (event) => this.onPress(event));
    frame.addEventListener('dblclick', () => this.whole && this.show(this.whole));
    new ResizeObserver(() => this.resize()).observe(frame);
  }

  /** Show (top, left, bottom, right) in the middle, as large as it fits. */
  show(region) {
    this.asked = region;
    this.fit();
  }

  fit() {
    if (!this.asked || !this.measure()) return;
    const [top, left, bottom, right] = this.asked;
    this.scale = Math.min(this.height / (bottom - top), this.width / (right - left));
    this.top = (top + bottom) / 2 - this.height / 2 / this.scale;
    this.left = (left + right) / 2 - this.width / 2 / this.scale;
    this.onChange();
  }

  /** The same region of another picture: a frame whose size changes tells of it by itself. */
  again() {
    if (this.width > 0 && this.height > 0) this.onChange();
    else this.fit();
  }

  measure() {
    const { width, height } = this.frame.getBoundingClientRect(); // not rounded, as clientWidth is
    [this.width, this.height] = [width, height];
    return this.width > 0 && this.height > 0;
  }

  resize() {
    if (this.asked && this.seesAll) this.asked = this.whole;
    this.fit();
  }

  /** (top, left, bottom, right) of what is in view. */
  get region() {
    return [this.top, this.left, this.top + this.height / this.scale, this.left + this.width / this.scale];
  }

  /** Whether the whole picture is in view. */
  get seesAll() {
    const [top, left, bottom, right] = this.region;
    const slack = 0.01;
    return top <= this.whole[0] + slack && left <= this.whole[1] + slack
      && bottom >= this.whole[2] - slack && right >= this.whole[3] - slack;
  }

  // --- gestures ------------------------------------------------------------------------------

  /** Move and enlarge so that what was under one screen place comes to lie under another. */
  turn([fromY, fromX], [toY, toX], factor) {
    const fits = Math.min(this.height / (this.whole[2] - this.whole[0]), this.width / (this.whole[3] - this.whole[1]));
    const scale = clamp(this.scale * factor, SMALLEST * fits, Math.max(LARGEST, fits));
    const [y, x] = [this.top + fromY / this.scale, this.left + fromX / this.scale];
    const [height, width] = [this.height / scale, this.width / scale];
    // The middle stays on the picture, so that it cannot be lost.
    const top = clamp(y - toY / scale, this.whole[0] - height / 2, this.whole[2] - height / 2);
    const left = clamp(x - toX / scale, this.whole[1] - width / 2, this.whole[3] - width / 2);
    this.show([top, left, top + height, left + width]);
  }

  placeOf(event) {
    const { top, left } = this.frame.getBoundingClientRect();
    return [event.clientY - top, event.clientX - left];
  }

  onWheel(event) {
    if (!this.whole || !event.deltaY) return;
    event.preventDefault();
    const place = this.placeOf(event);
    this.turn(place, place, Math.exp(-event.deltaY * (event.deltaMode ? WHEEL_LINE : 1) * WHEEL_STEP));
  }

  onPress(down) {
    if (!this.whole || down.button !== 0 || down.target.closest('.dv-tap')) return; // a tap has its own
    this.pressed.set(down.pointerId, this.placeOf(down));
    this.pinched = this.pressed.size > 1; // then no finger's release is a click
    let travel = 0;
    const move = (event) => {
      if (event.pointerId !== down.pointerId) return;
      const [before, now] = [this.pressed.get(down.pointerId), this.placeOf(event)];
      travel = Math.max(travel, Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY));
      if (travel <= CLICK_TRAVEL) return;
      const other = [...this.pressed].find(([id]) => id !== down.pointerId)?.[1];
      this.pressed.set(down.pointerId, now);
      if (other) this.pinch(before, now, other);
      else this.turn(before, now, 1);
    };
    const end = (event) => {
      if (event.pointerId !== down.pointerId) return;
      this.pressed.delete(down.pointerId);
      window.removeEventListener('pointermove', move, true);
      for (const name of ['pointerup', 'pointercancel']) window.removeEventListener(name, end, true);
    };
    window.addEventListener('pointermove', move, true);
    for (const name of ['pointerup', 'pointercancel']) window.addEventListener(name, end, true);
  }

  /** One finger moves, another holds still: their middle leads, their distance enlarges. */
  pinch(before, now, other) {
    const middle = (place) => [(place[0] + other[0]) / 2, (place[1] + other[1]) / 2];
    const distance = (place) => Math.max(Math.hypot(place[0] - other[0], place[1] - other[1]), 1);
    this.turn(middle(before), middle(now), distance(now) / distance(before));
  }
}
