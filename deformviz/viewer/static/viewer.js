/* The viewer: one position of a Sampling in three views that move together.
 *
 * It is fed with views, as `deformviz.viewer.scene` makes them: the picture comes first, and the
 * numbers follow as one binary file. From then on nothing asks the server: hover, pin, morph,
 * layers and formula are computed here.
 */

import { clamp, number, shape } from './dom.js';
import { Controls } from './controls.js';
import { pictureSVG, save, toPNG } from './picture.js';
import { difference, nearest, paintDifference, paintOverlays } from './layers.js';
import { inIdleTime, loadTensors } from './loading.js';
import { Pane } from './pane.js';
import { Readers } from './readers.js';
import { drawChecks, drawShifts } from './runs.js';
import { Scene } from './scene.js';
import { Side } from './side.js';
import { firstState, matrixOf, stateQuery, sweepPosition, unmoved } from './state.js';

const SWEEP_SECONDS = 24;
const MORPH_SECONDS = 1.6;
const LAYERS = ['arrows', 'over', 'tap', 'group', 'palette', 'output_channel'];

export class Viewer {
  /** @param root the element of viewer.html; `share` is told a link's query when it changes. */
  constructor(root, share = () => {}) {
    this.root = root;
    this.share = share;
    this.state = firstState();
    this.edit = unmoved();
    this.a = this.makeSide('a');
    this.b = null;
    this.output = new Pane(root.querySelector('.dv-output .dv-pane'));
    this.marker = shape('rect', { class: 'dv-marker' }, this.output.overlay);
    this.readers = new Readers(this.output.shade);
    this.controls = new Controls(root, (change) => this.set(change), (name) => this.act(name));
    this.drawing = Promise.resolve();
    this.listen();
  }

  part(name) { return this.root.querySelector(`[data-part="${name}"]`); }

  makeSide(name) {
    const find = (selector) => this.root.querySelector(selector);
    const side = new Side({
      figure: find(`figure[data-side="${name}"]`),
      image: find(`figure[data-side="${name}"] .dv-pane`),
      kernel: find(`.dv-kernel-box[data-side="${name}"]`),
      terms: find(`[data-terms="${name}"]`),
    }, (...event) => this.onTap(...event));
    side.image.onMoved = () => this.onZoom(side);
    side.kernel.onMoved = () => this.drawPosition();
    side.image.onHover((place) => this.hoverImage(side, place));
    side.image.onClick((place) => this.pin(...side.scene.positionAt(...place)));
    return side;
  }

  get sides() { return this.b?.scene ? [this.a, this.b] : [this.a]; }

  get stillness() { return window.matchMedia('(prefers-reduced-motion: reduce)').matches; }

  // --- views ---------------------------------------------------------------------------------

  /** Draw a view once the one before is drawn; those overtaken while they waited are skipped. */
  show(view) {
    this.next = view;
    const draw = () => { if (this.next === view) return this.draw(view); return null; };
    this.drawing = this.drawing.then(draw, draw);
    return this.drawing;
  }

  async draw(view) {
    if (view.state) this.state = { ...firstState(), ...view.state };
    const before = this.a.scene;
    const same = before && before.view.data.id === view.data.id;
    const scene = same ? Object.assign(before, { view }) : new Scene(view);
    if (!same) this.a.reset(scene);
    this.place(before, scene, Boolean(view.state));
    this.write(view);
    this.controls.offer(scene);
    await this.a.image.draw(view.figures.image, this.state.zoom);
    if (this.b === null || !this.b.scene) await this.output.draw(view.figures.output);
    this.drawAll();
    this.root.dataset.view = view.id;
    this.root.classList.remove('dv-waiting');
    if (view.kept && !this.b?.scene) await this.keep(view.kept);
    if (!same) this.load(this.a);
    if (this.state.sweep) this.sweep(true);
  }

  /** Keep the pin on its place of the image when the output's size changes. */
  place(before, scene, given) {
    const { state } = this;
    if (before && !given && (before.h !== scene.h || before.w !== scene.w)) {
      [state.y, state.x] = scene.positionAt(...before.groundOf(state.y, state.x));
    }
    state.y = clamp(state.y ?? Math.floor(scene.h / 2), 0, scene.h - 1);
    state.x = clamp(state.x ?? Math.floor(scene.w / 2), 0, scene.w - 1);
    if (state.over !== 'none' && !scene.view.overlays.includes(state.over)) state.over = 'none';
    for (const name of ['output', 'input']) {
      const [key, most] = [`${name}_channel`, scene.view.channels[name].length - 1];
      if (state[key] !== null) state[key] = clamp(state[key], 0, Math.max(most, 0));
    }
    Object.assign(state, { tap: Math.min(state.tap, scene.K - 1), group: Math.min(state.group, scene.G - 1) });
    if (before !== scene) this.edit = unmoved();
  }

  write(view) {
    this.part('status').textContent = view.status;
    this.part('notes').textContent = view.notes.join(' · ');
    this.part('caption').textContent = view.caption;
    this.part('output-caption').textContent = view.outputCaption;
    drawChecks(this.part('checks'), view.checks);
    drawShifts(this.part('more'), view.shifts);
    const links = Object.entries(view.downloads ?? {}).map(([text, href]) => {
      const link = document.createElement('a');
      Object.assign(link, { href, textContent: text, download: '' });
      return link;
    });
    for (const old of this.part('exports').querySelectorAll('a')) old.remove();
    this.part('exports').append(...links);
  }

  /** Fetch a side's numbers, and then sort its points for the look-up from pixel to readers. */
  async load(side) {
    const { scene } = side;
    this.loading?.abort();
    const abort = new AbortController();
    if (side === this.a) this.loading = abort;
    const { size } = scene.view.data;
    const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
    const tell = (came) => { this.part('loading').textContent = `offsets: ${megabytes(came)} of ${megabytes(size)} MB`; };
    tell(0);
    try {
      scene.attach(await loadTensors(scene.view.data, tell, abort.signal));
    } catch (error) {
      if (error.name !== 'AbortError') {
        this.part('loading').textContent = `The numbers could not be loaded: ${error.message}. Change any control to run again.`;
      }
      return;
    }
    this.part('loading').textContent = '';
    this.drawAll();
    this.root.dataset.ready = scene.view.data.id;
    await inIdleTime(scene.buildIndex(), () => !this.sides.includes(side) || side.scene !== scene);
    this.root.dataset.indexed = scene.view.data.id;
  }

  // --- drawing -------------------------------------------------------------------------------

  drawAll() {
    this.drawLayers();
    this.drawPosition();
    this.controls.show(this.state, this.edit, this.a.scene);
  }

  drawLayers() {
    const scenes = this.sides.map((side) => side.scene);
    const states = this.sides.map((side) => nearest(side.scene, side.state ?? this.state));
    paintOverlays(scenes, states).forEach((painted, i) => {
      this.sides[i].image.lay(painted, painted && boxOf(scenes[i], painted.ofInput));
      this.sides[i].drawArrows({ ...states[i], morph: this.state.morph });
    });
    this.root.dataset.layers = JSON.stringify(states.map(({ over, tap, group }) => ({ over, tap, group })));
    if (this.sides.length === 2) this.drawDifference();
    else this.output.lay(null);
  }

  drawDifference() {
    const found = difference(this.a.scene, this.b.scene, this.state);
    this.part('output-caption').textContent = found.problem ?? found.title;
    const { h, w } = this.a.scene;
    const painted = found.values ? { ...paintDifference(found), width: w, height: h } : null;
    this.output.lay(painted, [-0.5, -0.5, h, w]);
  }

  /** Draw the position in all views. */
  drawPosition() {
    const { state } = this;
    if (!this.a.scene || !this.a.image.drawn) return;
    this.sides.forEach((side) => {
      const [y, x] = side === this.a ? [state.y, state.x]
        : side.scene.positionAt(...this.a.scene.groundOf(state.y, state.x));
      const reading = side.scene.reading(y, x);
      if (!reading) return this.wait(side);
      const change = { morph: state.morph, matrix: matrixOf(this.edit), dragged: this.edit.dragged };
      return side.draw(reading.move(change), state);
    });
    this.mark();
    this.controls.showPosition(state);
    this.root.dataset.position = `${state.y}, ${state.x}`;
    this.tellState();
  }

  wait(side) {
    side.formula.wait('The offsets are on their way: the position shows when they are here.');
  }

  mark() {
    if (!this.output.drawn) return;
    const [y, x] = this.output.toScreen(this.state.y, this.state.x);
    const side = Math.max(this.output.scale, 9);
    const box = { x: x - side / 2, y: y - side / 2, width: side, height: side };
    for (const [name, value] of Object.entries(box)) this.marker.setAttribute(name, value);
    this.marker.classList.toggle('dv-pinned', this.state.pinned);
  }

  onZoom(side) {
    if (!side.scene || !side.image.drawn) return;
    for (const other of this.sides) {
      if (other !== side && other.image.drawn && !close(other.image.zoom, side.image.zoom)) other.image.zoom = side.image.zoom;
    }
    if (side === this.a) this.state.zoom = side.image.zoom.map((value) => Number(value.toPrecision(6)));
    if (side === this.a && this.seesAll()) this.state.zoom = null;
    side.drawArrows({ ...nearest(side.scene, side.state ?? this.state), morph: this.state.morph });
    this.drawPosition();
  }

  /** Whether the whole image is in view. */
  seesAll() {
    const { xaxis, yaxis } = this.a.scene.view.figures.image.layout;
    const [top, left, bottom, right] = this.state.zoom;
    return top <= yaxis.range[1] + 0.01 && left <= xaxis.range[0] + 0.01
      && bottom >= yaxis.range[0] - 0.01 && right >= xaxis.range[1] - 0.01;
  }

  // --- what a person does --------------------------------------------------------------------

  listen() {
    this.output.onMoved = () => this.mark();
    this.output.onHover((place) => this.hoverOutput(place));
    this.output.onClick((place) => this.pin(...this.onOutput(place)));
    for (const pane of this.root.querySelectorAll('.dv-pane')) {
      pane.addEventListener('keydown', (event) => this.onKey(event));
    }
  }

  onOutput([y, x]) {
    const { h, w } = this.a.scene;
    return [clamp(Math.round(y), 0, h - 1), clamp(Math.round(x), 0, w - 1)];
  }

  hoverImage(side, place) {
    if (!side.scene) return;
    if (!place) { this.showReaders(side, null); return; }
    this.sweep(false);
    if (!this.state.pinned) {
      const [y, x] = side.scene.positionAt(...place);
      this.moveTo(...(side === this.a ? [y, x] : this.a.scene.positionAt(...side.scene.groundOf(y, x))));
    }
    this.showReaders(side, side.scene.fromImage(...place).map(Math.round));
  }

  hoverOutput(place) {
    if (!place || !this.a.scene) return;
    this.sweep(false);
    if (!this.state.pinned) this.moveTo(...this.onOutput(place));
  }

  /** Shade, on the output, every position that reads a pixel of the map. */
  showReaders(side, pixel) {
    const { scene } = this.a;
    if (side !== this.a || this.sides.length > 1) return;
    if (pixel && scene.ready && !scene.index) {
      this.part('output-caption').textContent = 'looking up who reads where …';
      return;
    }
    const found = pixel ? scene.readers(...pixel) : [];
    this.readers.show(scene, found, this.output);
    this.part('output-caption').textContent = pixel && scene.ready
      ? `${new Set(found.map((reader) => reader.position)).size} positions read pixel ${pixel.join(', ')}`
      : scene.view.outputCaption;
    this.root.dataset.readers = pixel ? `${pixel.join(', ')}: ${found.length}` : '';
  }

  moveTo(y, x) {
    const { state } = this;
    if (state.y === y && state.x === x) return;
    Object.assign(state, { y, x });
    if (this.edit.dragged.size || this.edit.scale !== 1 || this.edit.rotate || this.edit.shear) this.unmove();
    this.drawPosition();
  }

  pin(y, x) {
    this.state.pinned = true;
    this.moveTo(y, x);
    this.drawPosition();
    this.say();
  }

  free() {
    this.state.pinned = false;
    this.unmove();
    this.drawPosition();
    this.part('said').textContent = 'position free';
  }

  unmove() {
    this.edit = unmoved();
    this.controls.showEdit(this.state, this.edit);
  }

  /** Tell a screen reader where the pin is and what it gives. */
  say() {
    const { terms, reading } = this.a;
    if (terms && reading) {
      this.part('said').textContent = `pinned y ${reading.y}, x ${reading.x}: output ${number(terms.total, 4)}, ${terms.rows.length} terms`;
    }
  }

  /** A change of the state by a control. */
  set(change) {
    const edits = ['scale', 'rotate', 'shear'].filter((name) => name in change);
    for (const name of edits) this.edit[name] = change[name];
    if (edits.length) {
      this.state.pinned = true;
      this.controls.showEdit(this.state, this.edit);
      this.drawPosition();
      return;
    }
    Object.assign(this.state, change);
    const { scene } = this.a;
    this.place(scene, scene, true);
    if ('y' in change || 'x' in change) { this.unmove(); this.pin(this.state.y, this.state.x); }
    if ('morph' in change) { this.a.drawArrows({ ...nearest(scene, this.state) }); this.drawPosition(); return; }
    if (LAYERS.some((name) => name in change)) this.drawLayers();
    this.drawPosition();
    this.controls.show(this.state, this.edit, scene);
  }

  async act(name) {
    const actions = {
      morph: () => this.playMorph(),
      sweep: () => this.sweep(!this.sweeping),
      pin: () => (this.state.pinned ? this.free() : this.pin(this.state.y, this.state.x)),
      unmove: () => { this.unmove(); this.drawPosition(); },
      compare: () => (this.b?.scene ? this.drop() : this.keep(this.a.scene.view)),
      svg: () => save(new Blob([pictureSVG(this)], { type: 'image/svg+xml' }), 'deformviz.svg'),
      png: async () => save(await toPNG(pictureSVG(this)), 'deformviz.png'),
      link: () => this.copyLink(),
    };
    await actions[name]();
  }

  async copyLink() {
    const button = this.controls.action('link');
    try {
      await navigator.clipboard.writeText(window.location.href);
      button.textContent = 'copied';
    } catch {
      button.textContent = 'copy it from the address bar';
    }
    setTimeout(() => { button.textContent = 'copy link'; }, 2000);
  }

  // --- keys ----------------------------------------------------------------------------------

  onKey(event) {
    if (!this.a.scene) return;
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step], ArrowRight: [0, step] };
    const keys = {
      Escape: () => this.free(),
      Enter: () => this.pin(this.state.y, this.state.x),
      '[': () => this.lightNext(-1),
      ']': () => this.lightNext(1),
      '+': () => this.zoomBy(0.8),
      '=': () => this.zoomBy(0.8),
      '-': () => this.zoomBy(1.25),
      0: () => this.zoomBy(Infinity),
    };
    const known = event.key in moves || event.key in keys;
    if (!known || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.sweep(false);
    if (event.key in keys) keys[event.key]();
    else if (event.altKey) this.nudge(moves[event.key], step);
    else this.step(moves[event.key]);
  }

  step([dy, dx]) {
    const { h, w } = this.a.scene;
    this.pin(clamp(this.state.y + dy, 0, h - 1), clamp(this.state.x + dx, 0, w - 1));
  }

  lightNext(step) {
    const count = this.a.scene.G * this.a.scene.K;
    const n = this.a.lit === null ? (step > 0 ? 0 : count - 1) : (this.a.lit + step + count) % count;
    for (const side of this.sides) side.light(n);
    this.part('said').textContent = `tap ${n}: ${this.a.formula.rows[n].node.textContent}`;
  }

  /** Move the lit tap by a quarter of a pixel, with Shift by two and a half. */
  nudge(direction) {
    if (this.a.lit === null) return;
    const [dy, dx] = this.edit.dragged.get(this.a.lit) ?? [0, 0];
    this.edit.dragged.set(this.a.lit, [dy + direction[0] / 4, dx + direction[1] / 4]);
    this.state.pinned = true;
    this.drawPosition();
  }

  zoomBy(factor) {
    const { xaxis, yaxis } = this.a.scene.view.figures.image.layout;
    if (factor === Infinity) {
      this.a.image.zoom = [yaxis.range[1], xaxis.range[0], yaxis.range[0], xaxis.range[1]];
      return;
    }
    const [cy, cx] = this.a.scene.groundOf(this.state.y, this.state.x);
    const [top, left, bottom, right] = this.a.image.zoom;
    this.a.image.zoom = [cy + (top - cy) * factor, cx + (left - cx) * factor, cy + (bottom - cy) * factor, cx + (right - cx) * factor];
  }

  // --- taps ----------------------------------------------------------------------------------

  onTap(side, where, what, n, event) {
    if (what === 'light') {
      for (const each of this.sides) each.light(n !== null && n < each.scene.G * each.scene.K ? n : null);
    } else this.grab(side, where, n, event);
  }

  /** Drag a tap; a press without a movement chooses it for the layers. */
  grab(side, where, n, down) {
    down.preventDefault();
    down.stopPropagation();
    const { scene } = side;
    const { image_stride: stride } = scene.grid;
    const unit = where === 'image' ? [side.image.scale * stride[0], side.image.scale * stride[1]] : [side.kernel.unit, side.kernel.unit];
    const [y, x] = this.edit.dragged.get(n) ?? [0, 0];
    let moved = false;
    const move = (event) => {
      const delta = [(event.clientY - down.clientY) / unit[0], (event.clientX - down.clientX) / unit[1]];
      moved ||= Math.hypot(...delta) * unit[0] > 3;
      if (!moved) return;
      this.state.pinned = true;
      this.edit.dragged.set(n, [y + delta[0], x + delta[1]]);
      this.drawPosition();
    };
    const drop = () => {
      window.removeEventListener('pointermove', move, true);
      if (!moved) this.set({ tap: n % scene.K, group: Math.floor(n / scene.K) });
    };
    window.addEventListener('pointermove', move, true);
    window.addEventListener('pointerup', drop, { once: true, capture: true });
  }

  // --- play ----------------------------------------------------------------------------------

  playMorph() {
    const button = this.controls.action('morph');
    if (this.morphing) { this.morphing = false; return; }
    this.morphing = true;
    button.textContent = '❚❚';
    button.setAttribute('aria-label', 'pause');
    const start = performance.now();
    const from = this.state.morph < 1 ? this.state.morph : 0;
    const turn = (now) => {
      const part = Math.max(0, now - start) / 1000 / MORPH_SECONDS;
      const morph = this.stillness ? 1 : Math.min(1, from + part);
      if (this.morphing) {
        this.set({ morph });
        this.controls.nodes.morph.value = morph;
      }
      if (this.morphing && morph < 1) { requestAnimationFrame(turn); return; }
      this.morphing = false;
      button.textContent = '▶';
      button.setAttribute('aria-label', 'play from regular to deformed');
    };
    requestAnimationFrame(turn);
  }

  /** Walk over the output until someone hovers; in steps where motion is not wanted. */
  sweep(on) {
    if (on === Boolean(this.sweeping)) return;
    this.controls.action('sweep').setAttribute('aria-pressed', on);
    this.state.sweep = on;
    if (!on) {
      this.sweeping = null;
      this.tellState();
      return;
    }
    this.state.pinned = false;
    const { stillness } = this;
    const mine = {};
    this.sweeping = mine;
    const start = performance.now();
    const step = (now) => {
      if (this.sweeping !== mine) return;
      const { h, w } = this.a.scene;
      this.moveTo(...sweepPosition((now - start) / 1000 / SWEEP_SECONDS, h, w));
      if (stillness) setTimeout(() => step(performance.now()), 1000);
      else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  // --- comparison ----------------------------------------------------------------------------

  /** Keep a view as B, beside those that follow. */
  async keep(view) {
    this.b ??= this.makeSide('b');
    this.setComparing(true);
    const scene = view === this.a.scene.view ? this.a.scene : new Scene(view);
    this.b.state = { ...this.state, ...view.state };
    this.b.reset(scene);
    this.part('name-b').textContent = `B, kept: ${view.status}`;
    await this.b.image.draw(view.figures.image, this.a.image.zoom);
    await this.a.image.draw(this.a.scene.view.figures.image);
    if (!scene.ready) await this.load(this.b);
    this.drawAll();
  }

  drop() {
    this.b.scene = null;
    this.setComparing(false);
    this.part('output-caption').textContent = this.a.scene.view.outputCaption;
    this.output.draw(this.a.scene.view.figures.output).then(() => this.drawAll());
  }

  setComparing(on) {
    this.root.classList.toggle('dv-comparing', on);
    for (const node of this.root.querySelectorAll('[data-side="b"], [data-terms="b"]')) node.hidden = !on;
    this.part('name-a').textContent = on ? 'A' : 'input';
    this.part('output-name').textContent = on ? 'A − B' : 'output';
    const button = this.controls.action('compare');
    button.setAttribute('aria-pressed', on);
    button.textContent = on ? 'end comparison' : 'compare';
  }

  // --- the link ------------------------------------------------------------------------------

  tellState() {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      if (this.a.scene) this.share(this.query());
    }, 200);
  }

  /** The whole state as a link's query. */
  query() {
    const { view } = this.a.scene;
    const query = new URLSearchParams(view.query ?? '');
    for (const [name, text] of stateQuery(this.state)) query.set(name, text);
    if (this.b?.scene) {
      const kept = new URLSearchParams(this.b.scene.view.query ?? '');
      for (const [name, text] of stateQuery(this.b.state)) kept.set(name, text);
      query.set('compare', kept.toString());
    }
    return query.toString();
  }
}

const close = (a, b) => a.every((value, i) => Math.abs(value - b[i]) < 1e-3);

/** Where a map lies on the image: (top, left, height, width). */
function boxOf(scene, ofInput) {
  if (!ofInput) return scene.view.outputBox;
  const { image_origin: origin, image_stride: stride } = scene.grid;
  return [origin[0] - stride[0] / 2, origin[1] - stride[1] / 2, scene.H * stride[0], scene.W * stride[1]];
}
