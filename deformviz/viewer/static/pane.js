/* One picture with what lies over it: canvases with values (one screen element a map pixel) and an
 * SVG with points, all placed by the same zoom. Coordinates are the picture's: (y, x) in pixels of
 * the image or of the output. */

import { element, shape } from './dom.js';
import { legendParts } from './layers.js';
import { legendNodes } from './legend.js';
import { CLICK_TRAVEL, Zoom } from './zoom.js';

const SHARP = 6; // from so many screen pixels on, a pixel is drawn as a square, not smoothed

/**
 * Load a picture, which is decoded with the frame that shows it (`decoding`). One with a `data:`
 * address is there at once: to wait for its `load`, or for `decode()`, would take a frame more.
 */
async function load(picture, source) {
  picture.setAttribute('src', source);
  await null; // a browser begins to load when the script has ended
  if (!picture.complete) await new Promise((done) => { [picture.onload, picture.onerror] = [done, done]; });
  if (!picture.naturalWidth) await picture.decode(); // fails, and says why
}

export class Pane {
  /** @param root an element with a `[data-figure]` inside. */
  constructor(root) {
    this.root = root;
    this.ground = root.querySelector('[data-figure]');
    this.frame = element('div', { class: 'dv-frame' });
    this.picture = element('img', { class: 'dv-ground', alt: '' });
    this.values = element('canvas', { class: 'dv-values' });
    this.shade = element('canvas', { class: 'dv-shade' });
    this.overlay = shape('svg', { class: 'dv-overlay' });
    this.legend = element('div', { class: 'dv-legend' });
    this.clip = element('div', { class: 'dv-clip' });
    this.clip.append(this.values, this.shade, this.overlay, this.legend);
    this.ground.after(this.frame);
    this.ground.append(this.picture);
    this.frame.append(this.ground, this.clip);
    this.boxes = new Map(); // (top, left, height, width) of each picture and canvas
    this.onMoved = () => {};
    this.drawn = false;
    this.view = new Zoom(this.frame, () => this.place());
    for (const name of ['scroll', 'resize']) {
      window.addEventListener(name, () => { this.bounds = null; }, { capture: true, passive: true });
    }
  }

  /**
   * Draw the ground, unless it is the one that is there.
   *
   * @param ground {source, box}: a picture's address or null, and where it lies.
   * @param zoom what to show, null for the whole; by default what is shown, unless the size changes.
   */
  async draw(ground, zoom) {
    this.prepare(ground);
    await this.coming?.loaded;
    this.change();
    const { box } = ground;
    const [top, left, height, width] = box;
    const whole = [top, left, top + height, left + width];
    const same = this.view.whole?.every((value, i) => value === whole[i]);
    this.boxes.set(this.picture, box);
    this.view.whole = whole;
    this.drawn = true;
    if (zoom !== undefined || !same) this.view.show(zoom ?? whole);
    else this.view.again();
  }

  /** Begin to load another ground's picture. */
  prepare({ source }) {
    if ((this.coming?.picture ?? this.picture).getAttribute('src') === source) return;
    const picture = element('img', { class: 'dv-ground', alt: '', draggable: 'false', decoding: 'sync' });
    this.coming = { picture, loaded: source ? load(picture, source) : null };
  }

  /** Put it in its place once it can be shown: all that is new is new in one frame. */
  change() {
    if (!this.coming) return;
    this.boxes.delete(this.picture);
    this.picture.replaceWith(this.coming.picture);
    this.picture = this.coming.picture;
    this.coming = null;
  }

  /** (top, left, bottom, right) of what is in view. */
  get zoom() { return this.view.region; }

  /** What was asked to be in view; a frame of other proportions shows more. */
  get asked() { return this.view.asked; }

  get whole() { return this.view.whole; }

  get seesAll() { return this.view.seesAll; }

  setZoom(region) { this.view.show(region); }

  /** Screen pixels within the frame for a place of the picture. */
  toScreen(y, x) {
    const { top, left, scale } = this.view;
    return [(y - top) * scale, (x - left) * scale];
  }

  /** Screen pixels for one pixel of the picture. */
  get scale() { return this.view.scale; }

  /** The picture's place under a pointer, or null beside it. */
  placeUnder(event) {
    this.bounds ??= this.clip.getBoundingClientRect();
    const { scale, whole: [top, left, bottom, right] } = this.view;
    const y = this.view.top + (event.clientY - this.bounds.top) / scale;
    const x = this.view.left + (event.clientX - this.bounds.left) / scale;
    return y >= top && y <= bottom && x >= left && x <= right ? [y, x] : null;
  }

  /** Put everything where the zoom has it. */
  place() {
    if (!this.drawn) return;
    for (const [node, box] of this.boxes) this.placeBox(node, box);
    const [, , , width] = this.boxes.get(this.picture);
    this.picture.classList.toggle('dv-sharp', (width * this.scale) / (this.picture.naturalWidth || 1) >= SHARP);
    this.bounds = null;
    this.onMoved();
  }

  /** By a transform: left and width would be rounded, and a zoom would cost a layout. */
  placeBox(node, [top, left, height, width]) {
    const [y, x] = this.toScreen(top, left);
    const [rows, columns] = [node.naturalHeight ?? node.height, node.naturalWidth ?? node.width];
    if (!rows || !columns) return;
    const scale = `${(width * this.scale) / columns}, ${(height * this.scale) / rows}`;
    node.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
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
    this.placeBox(this.values, box);
  }

  showLegend(legend) {
    this.legend.hidden = !legend;
    this.legendParts = legend ? legendParts(legend) : null;
    if (legend) this.legend.replaceChildren(...legendNodes(this.legendParts));
  }

  /** `tell` where the pointer is, and null when it leaves. */
  onHover(tell) {
    this.frame.addEventListener('pointermove', (event) => {
      if (this.drawn && event.buttons === 0) tell(this.placeUnder(event), event);
    });
    this.frame.addEventListener('pointerleave', () => tell(null));
  }

  onClick(tell) {
    this.frame.addEventListener('pointerdown', (down) => {
      if (down.button !== 0 || down.target.closest('.dv-tap')) return; // a tap has its own press
      window.addEventListener('pointerup', (up) => {
        const travel = Math.hypot(up.clientX - down.clientX, up.clientY - down.clientY);
        const click = this.drawn && travel <= CLICK_TRAVEL && !this.view.pinched;
        const place = click ? this.placeUnder(up) : null;
        if (!place) return;
        this.root.focus({ preventScroll: true });
        tell(place);
      }, { once: true, capture: true });
    });
  }
}
