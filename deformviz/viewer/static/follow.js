/* "Follow through": the taps of the position, followed down through the layers that ran before. The
 * numbers of those come when it is switched on; from then on it moves with the pointer. */

import { brief, clamp, element, write } from './dom.js';
import { loadTensors } from './loading.js';
import { Scene } from './scene.js';
import { LayerTaps, trace } from './trace.js';
import { heatGradient, largest, Trail } from './trail.js';
import { t } from './words.js';

const QUICK = 2000; // points that a move of the pointer may wait for; more come with the next frame
const FIRST_DEPTH = 2; // layers below, as in the paper's figure: 729 points

export class Follow {
  constructor(viewer) {
    Object.assign(this, { viewer, scenes: new Map(), trails: new Map(), words: '', problem: '' });
    this.box = viewer.part('follow');
    this.line = viewer.part('followed');
    this.nodes = {};
    for (const node of this.box.querySelectorAll('[data-follow]')) {
      this.nodes[node.dataset.follow] = node;
      node.addEventListener('input', () => this.change(node));
    }
    this.heat = viewer.part('heat');
    this.heat.style.background = heatGradient();
    [this.text, this.levelText] = ['followed-text', 'level-name'].map((name) => viewer.part(name).appendChild(document.createTextNode('')));
  }

  // --- controls ------------------------------------------------------------------------------

  change(node) {
    const { state } = this.viewer;
    const name = node.dataset.follow;
    const to = {
      on: () => ({ follow: node.checked ? Math.min(FIRST_DEPTH, this.choosable.length) : 0 }),
      follow: () => ({ follow: clamp(Math.round(node.valueAsNumber) || 1, 1, Math.max(1, this.choosable.length)) }),
      follow_level: () => ({ follow_level: node.value === node.max ? null : Number(node.value) }),
      all_groups: () => ({ all_groups: node.checked }),
    }[name] ?? (() => ({ [name]: node.value }));
    const change = to();
    if ('follow' in change && change.follow !== state.follow) change.follow_level = null;
    this.set(change);
  }

  set(change) {
    this.problem = '';
    Object.assign(this.viewer.state, change);
    this.show();
    this.viewer.drawPosition();
    this.viewer.tell(this.words.slice(2));
  }

  /** Offer what a view has below it. */
  offer({ view }) {
    const below = view.below ?? [];
    this.box.hidden = below.length === 0;
    this.problem = '';
    const boxes = below.map(({ header }, i) => {
      const label = element('label', { title: header.name }, header.name);
      const box = element('input', { type: 'checkbox', 'data-layer': numberOf(below, i) });
      box.addEventListener('input', () => this.leaveOut());
      label.prepend(box);
      return label;
    });
    this.viewer.part('follow-layers').replaceChildren(...boxes);
    this.say(''); // what was said was of another layer
    this.show();
  }

  leaveOut() {
    const { state } = this.viewer;
    const boxes = [...this.viewer.part('follow-layers').querySelectorAll('input')];
    const here = new Set(boxes.map((box) => Number(box.dataset.layer)));
    const others = (state.leave_out ?? []).filter((layer) => !here.has(layer)); // of other views
    const left = boxes.filter((box) => !box.checked).map((box) => Number(box.dataset.layer));
    const all = [...others, ...left].slice(0, MOST_LEFT_OUT);
    this.set({ leave_out: all.length ? all : null });
  }

  /** The layers of a view that may be followed through, the nearest first. */
  left(view) {
    const [below, out] = [view.below ?? [], new Set(this.viewer.state.leave_out ?? [])];
    return below.filter((_, i) => !out.has(numberOf(below, i)));
  }

  get choosable() { return this.viewer.a.scene ? this.left(this.viewer.a.scene.view) : []; }

  /** Show the state. */
  show() {
    const { viewer: { state }, nodes, choosable } = this;
    const depth = Math.min(state.follow, choosable.length);
    const on = depth > 0;
    nodes.on.checked = on;
    nodes.on.disabled = choosable.length === 0;
    for (const node of this.box.querySelectorAll('[data-while="on"]')) node.hidden = !on;
    nodes.follow.max = choosable.length;
    nodes.follow.value = depth || 1;
    for (const name of ['follow_mode', 'follow_weight']) nodes[name].value = state[name];
    nodes.all_groups.checked = state.all_groups;
    const scenes = [this.viewer.a.scene?.view, ...choosable.slice(0, depth)];
    nodes.all_groups.parentNode.hidden = !on || !scenes.some((of) => of && of.groups > 1 && of.taps > 1);
    nodes.follow_level.max = depth + 1;
    nodes.follow_level.value = levelOf(state, depth) + 1;
    for (const box of this.viewer.part('follow-layers').querySelectorAll('input')) {
      box.checked = !(state.leave_out ?? []).includes(Number(box.dataset.layer));
    }
  }

  // --- numbers -------------------------------------------------------------------------------

  /** The layers that a side's taps go through below it: scenes, or null while numbers are missing. */
  chain(side) {
    const wanted = this.left(side.scene.view).slice(0, this.viewer.state.follow);
    const scenes = wanted.map(({ data }) => this.scenes.get(data.id));
    if (scenes.every((scene) => scene?.ready)) return scenes;
    if (!this.problem) this.load(wanted);
    return null;
  }

  /** Bring the numbers of layers, and let go of those of all others. */
  async load(wanted) {
    const key = wanted.map(({ data }) => data.id).join(' ');
    if (this.loading?.key === key) return;
    this.loading?.abort.abort();
    const mine = { key, abort: new AbortController() };
    this.loading = mine;
    try {
      for (const layer of wanted) {
        if (!this.scenes.get(layer.data.id)?.ready) await this.loadOne(layer, mine.abort.signal);
        if (this.loading !== mine) return;
      }
      const needed = new Set(this.viewer.sides.flatMap((side) => this.left(side.scene.view).slice(0, this.viewer.state.follow)).map(({ data }) => data.id));
      for (const id of this.scenes.keys()) if (!needed.has(id)) this.scenes.delete(id);
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.problem = t('The layers below could not be loaded: {reason}. Switch it off and on to try again.', { reason: error.message });
    }
    this.loading = null;
    this.viewer.drawPosition();
  }

  async loadOne(layer, signal) {
    const size = (layer.data.size / 1e6).toFixed(1);
    const tell = (came) => this.say(t('{name}: {came} of {size} MB', { name: layer.header.name, came: (came / 1e6).toFixed(1), size }));
    tell(0);
    const scene = new Scene(layer);
    scene.attach(await loadTensors(layer.data, tell, signal));
    this.scenes.set(layer.data.id, scene);
  }

  // --- drawing -------------------------------------------------------------------------------

  trail(side) {
    if (!this.trails.has(side)) {
      this.trails.set(side, new Trail(side.image, side.points.root));
      side.onLight = (n) => this.light(side, n);
    }
    return this.trails.get(side);
  }

  /** Draw where the position's taps end, on each side: at once, or with the next frame. */
  draw() {
    cancelAnimationFrame(this.frame);
    const { state, sides } = this.viewer;
    if (!state.follow || !sides.some((side) => this.left(side.scene.view).length)) {
      for (const trail of this.trails.values()) trail.clear();
      this.say('');
      return;
    }
    const later = sides.filter((side) => !this.drawSide(side, false));
    if (later.length) this.frame = requestAnimationFrame(() => later.forEach((side) => this.drawSide(side, true)));
  }

  /** false where it would take long, and is not yet to be done. */
  drawSide(side, patient) {
    const below = side.scene.ready && side.reading ? this.chain(side) : null;
    if (!below?.length) {
      side.heat = null;
      this.trail(side).clear();
      if (this.problem) this.say(this.problem);
      return true;
    }
    try {
      const layers = [side.scene, ...below].map((scene) => this.taps(scene));
      if (!patient && costOf(layers, this.viewer.state.follow_mode) > QUICK) return false;
      this.drawTrace(side, layers);
    } catch (error) {
      this.trail(side).clear();
      this.say(t('Not followed: {reason}.', { reason: error.message }));
    }
    return true;
  }

  taps(scene) {
    const { state } = this.viewer;
    const one = scene.G > 1 && scene.K > 1 && !state.all_groups;
    return new LayerTaps(scene, one ? state.group : null, state.follow_weight);
  }

  drawTrace(side, layers) {
    const { state } = this.viewer;
    const { y, x, exact, point } = side.reading;
    const start = { y, x, moved: exact ? null : point };
    const found = trace(layers, state.follow_mode, start);
    const index = levelOf(state, layers.length - 1);
    const trail = this.trail(side);
    if (state.follow_mode === 'exact') {
      const most = largest(found.levels[index].weights);
      side.heat = { layers, start, index, most };
      trail.drawHeat(this.lit(side, found).levels[index], most);
    } else {
      side.heat = null;
      trail.drawDots(found.levels[index], side.scene.tapColors);
      trail.light(side.lit);
    }
    if (side === this.viewer.a) this.tell(found, layers, index, exact);
  }

  /** What came by way of the lit tap alone, where one is lit. */
  lit(side, found) {
    const { layers, start } = side.heat;
    return side.lit === null ? found : trace(layers, 'exact', { ...start, only: side.lit });
  }

  light(side, n) {
    const trail = this.trail(side);
    if (!side.heat || this.viewer.state.follow === 0) { trail.light(n); return; }
    const { layers, start, index, most } = side.heat;
    trail.drawHeat(trace(layers, 'exact', { ...start, only: n }).levels[index], most);
  }

  // --- words ---------------------------------------------------------------------------------

  say(text) {
    this.line.hidden = !text;
    this.heat.hidden = true;
    write(this.text, text);
    this.words = '';
  }

  tell({ levels, off, broken }, layers, index, exact) {
    const { weights } = levels[index];
    const names = layers.slice(0, index + 1).map(({ scene }) => scene.grid.name);
    const merged = this.viewer.state.follow_mode === 'exact';
    const parts = [countOf(weights.length, names.length, merged)];
    if (merged) parts.push(t('weights add up to {sum}, the largest is {most}', { sum: brief(weights.reduce((sum, weight) => sum + weight, 0)), most: brief(largest(weights)) }));
    if (index === layers.length - 1 && off) parts.push(t('{count} more end off the map', { count: off }));
    if (index === layers.length - 1 && broken) parts.push(t('{count} more at numbers that are not finite', { count: broken }));
    const found = parts.join(t(', '));
    const moved = exact ? '' : t(' The first taps are where you put them, the others as recorded.');
    this.say(t('{found}: {names}. What lies between layers is taken to leave places as they are.', { found, names: names.join(' ▸ ') }) + moved);
    this.words = t('; followed down: {found}', { found });
    this.heat.hidden = !merged;
    write(this.levelText, t('{count} of {all}', { count: index + 1, all: layers.length }));
  }
}

const MOST_LEFT_OUT = 32; // as in state.py

/** What of how many layers is drawn, in words. */
function countOf(count, layers, merged) {
  const one = merged ? '{count} pixels of {layers} layer' : '{count} points of {layers} layer';
  const several = merged ? '{count} pixels of {layers} layers' : '{count} points of {layers} layers';
  return t(layers > 1 ? several : one, { count, layers });
}

/** A layer's number in the order of the calls, by its place among those below. */
const numberOf = (below, i) => below.length - 1 - i;

/** Which level is shown, 0 for the taps of the top layer itself. */
const levelOf = ({ follow_level: level }, depth) => (level === null ? depth : clamp(level - 1, 0, depth));

/** How much there is to do: points, or in exact mode pixels of the maps. */
function costOf(layers, mode) {
  if (mode === 'exact') return Math.max(...layers.map(({ scene }) => scene.H * scene.W)) / 128;
  return layers.reduce((product, { count }) => product * count, 1);
}
