/* The whole layer below its positions: a histogram whose bars show where their values are, what is
 * wrong with it, and its numbers. Nothing is counted or asked for before someone unfolds it. */

import { Bars, countTable, percent, whole } from './bars.js';
import { element } from './dom.js';
import { Facts } from './facts.js';
import { Findings, unpackMap } from './findings.js';
import { Highlight } from './highlight.js';
import { Histogram } from './histogram.js';
import { inIdleTime, loadJSON } from './loading.js';
import { t } from './words.js';

const QUANTITIES = { magnitude: '|Δ|', dy: 'dy', dx: 'dx', mask: 'mask' };

export class About {
  constructor(viewer) {
    this.viewer = viewer;
    this.details = viewer.part('about');
    this.highlight = new Highlight(viewer.a.image, viewer.output);
    this.bars = new Bars(viewer.part('bars'), (what, bin) => (what === 'pick' ? this.pickBar(bin) : this.sayBar(bin)));
    this.findings = new Findings(viewer.part('findings'), (i) => this.pickFinding(i));
    this.facts = new Facts(viewer.part('facts'));
    this.nodes = Object.fromEntries([...this.details.querySelectorAll('[data-about]')].map((node) => [node.dataset.about, node]));
    this.listen();
  }

  listen() {
    const { nodes, details } = this;
    const index = ({ value }) => (value === 'all' ? null : Number(value));
    nodes.quantity.addEventListener('change', () => this.set({ quantity: nodes.quantity.value, bar: null }));
    for (const name of ['bar_group', 'bar_tap']) {
      nodes[name].addEventListener('change', () => this.set({ [name]: index(nodes[name]) }));
    }
    nodes.log_counts.addEventListener('change', () => this.set({ log_counts: nodes.log_counts.checked }));
    details.firstElementChild.addEventListener('click', (event) => {
      event.preventDefault(); // else it would open at once, and tell of it when others have drawn
      this.set({ about: !this.viewer.state.about });
    });
    details.addEventListener('keydown', (event) => { if (event.key === 'Escape') this.free(); });
  }

  set(change) {
    Object.assign(this.viewer.state, change);
    this.draw();
    this.viewer.tellState();
  }

  // --- what a person does --------------------------------------------------------------------

  pickBar(bin) {
    const bar = this.viewer.state.bar === bin ? null : bin;
    this.set({ bar, finding: null });
  }

  pickFinding(i) {
    const { viewer } = this;
    const finding = viewer.state.finding === i ? null : i;
    const { tap, group } = this.listed[i];
    if (finding !== null) {
      const chosen = Object.entries({ tap, group }).filter(([, value]) => value !== null);
      for (const [name, value] of chosen) viewer.state[`bar_${name}`] = value;
      viewer.set(Object.fromEntries(chosen));
    }
    this.set({ finding, bar: null });
  }

  /** Show no bar's or finding's positions any more. */
  free() {
    const { bar, finding } = this.viewer.state;
    if (bar !== null || finding !== null) this.set({ bar: null, finding: null });
  }

  // --- drawing -------------------------------------------------------------------------------

  /** Draw what the state asks for of the scene that is shown. */
  draw() {
    const { state, a: { scene } } = this.viewer;
    if (!scene) return;
    this.offer(scene);
    this.place(scene);
    this.details.open = state.about;
    this.viewer.part('layer-name').textContent = t(this.viewer.sides.length === 1 ? 'layer' : 'layer A');
    for (const name of ['bar_group', 'bar_tap']) this.nodes[name].value = state[name] ?? 'all';
    this.nodes.quantity.value = state.quantity;
    this.nodes.log_counts.checked = state.log_counts;
    if (state.about) {
      this.drawHistogram(scene);
      this.drawAbout(scene);
      this.drawPosition();
    }
    this.drawHighlight(scene);
  }

  /** Offer what a scene has to count. */
  offer(scene) {
    if (this.offered === scene) return;
    this.offered = scene;
    this.listed = null;
    const { quantity, bar_group: group, bar_tap: tap } = this.nodes;
    const all = (text, each, length) => [['all', t(text)], ...Array.from({ length }, (_, i) => [i, each(i)])];
    const fill = (node, options) => node.replaceChildren(...options.map(([value, text]) => element('option', { value }, text)));
    fill(quantity, Object.keys(QUANTITIES).filter((name) => name !== 'mask' || scene.view.overlays.includes('mask')).map((name) => [name, quantityName(name)]));
    fill(group, all('all groups', groupName, scene.G));
    fill(tap, all('all taps', tapName, scene.K));
    group.hidden = scene.G === 1;
    tap.hidden = scene.K === 1;
    this.findings.say('');
    this.facts.draw(scene, []);
  }

  /** What a scene does not have becomes what it has. */
  place(scene) {
    const { state } = this.viewer;
    const least = (value, length) => (value === null || length === 1 ? null : Math.min(value, length - 1));
    if (state.quantity === 'mask' && !scene.view.overlays.includes('mask')) Object.assign(state, { quantity: 'magnitude', bar: null });
    Object.assign(state, { bar_group: least(state.bar_group, scene.G), bar_tap: least(state.bar_tap, scene.K) });
    if (state.bar !== null) state.finding = null;
  }

  /** The counts of a scene's quantity: made once, in idle time; null where another scene came. */
  counted(scene, quantity) {
    scene.histograms ??= new Map();
    if (!scene.histograms.has(quantity)) {
      const histogram = new Histogram(scene, quantity);
      const told = (share) => { this.share = share; };
      const gone = () => this.viewer.a.scene !== scene;
      scene.histograms.set(quantity, inIdleTime(histogram.count(told), gone).then(() => {
        if (histogram.counts) return histogram;
        scene.histograms.delete(quantity);
        return null;
      }));
    }
    return scene.histograms.get(quantity);
  }

  async drawHistogram(scene) {
    const { state } = this.viewer;
    const { quantity, bar_group: group, bar_tap: tap, log_counts: log } = state;
    const key = `${scene.view.data.id} ${quantity} ${group} ${tap} ${log}`;
    if (this.key === key) { this.bars.choose(state.bar); return; }
    this.waitFor(scene);
    if (!scene.ready) return;
    const mine = this.counting = {};
    const histogram = await this.counted(scene, quantity);
    if (!histogram || this.counting !== mine) return;
    this.key = key;
    clearInterval(this.waiting);
    const counts = histogram.total(group, tap);
    this.bars.draw({ bins: histogram.bins, counts, title: titleOf(state, scene), log, chosen: state.bar });
    this.shown = { bins: histogram.bins, counts, half: histogram.tensor.half };
    this.viewer.part('counts').replaceChildren(countTable(histogram.bins, counts));
    this.details.classList.remove('dv-counting');
    this.sayBar(null);
    this.viewer.root.dataset.counted = key;
  }

  /** The bars of before are faint until the new ones are there. */
  waitFor(scene) {
    this.key = null;
    this.share = 0;
    this.details.classList.add('dv-counting');
    clearInterval(this.waiting);
    const say = () => {
      this.viewer.part('bar').textContent = scene.ready
        ? t('counting … {share} %', { share: Math.round(100 * this.share) }) : t('waiting for the numbers');
    };
    say();
    if (scene.ready) this.waiting = setInterval(say, 100);
  }

  /** A bar in words; of none, what is special among all values. */
  sayBar(bin) {
    if (!this.key) return;
    const { bins, counts, half } = this.shown;
    const rounded = half ? t('; so many offsets come rounded to half precision') : '';
    const all = counts.reduce((sum, count) => sum + count, 0);
    const of = (kind) => whole(bins.reduce((sum, each, i) => sum + (each.kind === kind ? counts[i] : 0), 0));
    this.viewer.part('bar').textContent = bin === null
      ? t('{all} values, of which {zero} are 0, {infinite} infinite, {nan} NaN', { all: whole(all), zero: of('zero'), infinite: of('infinite'), nan: of('nan') }) + rounded
      : t('{bin}: {count} values, {share}', { bin: bins[bin].label, count: whole(counts[bin]), share: percent(counts[bin], all) });
  }

  /** Findings and facts: of the view, or else from the server. */
  async drawAbout(scene) {
    if (!scene.ready || (this.listed && this.listedOf === scene)) return;
    this.findings.say(t('looking for what may be wrong …'));
    let found;
    try {
      found = await aboutOf(scene);
    } catch (error) {
      if (this.offered === scene) this.findings.say(t('The findings could not be loaded: {reason}. Change any control to run again.', { reason: error.message }));
      return;
    }
    if (this.offered !== scene) return;
    Object.assign(this, { listed: found.findings, listedOf: scene });
    this.findings.draw(found.findings);
    this.facts.draw(scene, found.facts);
    this.findings.choose(this.viewer.state.finding);
    this.drawPosition();
  }

  /** The numbers of the position that is shown. */
  drawPosition() {
    const { state, a: { scene, reading } } = this.viewer;
    if (state.about && reading) this.facts.drawPosition(scene, reading, Math.min(state.group, scene.G - 1));
  }

  // --- where it is so ------------------------------------------------------------------------

  /** Light up the positions of the bar or finding that is chosen. */
  async drawHighlight(scene) {
    const { state } = this.viewer;
    const { quantity, bar_group: group, bar_tap: tap, bar, finding } = state;
    this.bars.choose(bar);
    this.findings.choose(finding);
    const alone = this.viewer.sides.length === 1;
    const key = JSON.stringify([scene.view.data.id, scene.ready, quantity, group, tap, bar, finding, alone]);
    if (this.lit === key) return;
    this.lit = key;
    const current = () => this.lit === key && this.viewer.a.scene === scene;
    if (bar === null && finding === null || !scene.ready) { this.show(scene, null); return; }
    const found = bar === null
      ? await this.positionsOfFinding(scene, finding)
      : await this.positionsOfBar(scene, { quantity, bar, group, tap }, current);
    if (current()) this.show(scene, found);
  }

  async positionsOfBar(scene, { quantity, bar, group, tap }, current) {
    const histogram = await this.counted(scene, quantity);
    if (!histogram || bar >= histogram.bins.length) return null;
    const found = new Uint8Array(scene.h * scene.w);
    await inIdleTime(histogram.positionsIn(bar, group, tap, found), () => !current());
    const positions = found.reduce((sum, is) => sum + is, 0);
    const text = [`${quantityName(quantity)} ${histogram.bins[bar].label}`, ...whose(group, tap, scene)].join(t(', '));
    return { found, size: [scene.h, scene.w], step: 1, positions, text };
  }

  async positionsOfFinding(scene, i) {
    const { findings } = await aboutOf(scene).catch(() => ({ findings: [] }));
    const finding = findings[i];
    return finding?.map ? { ...unpackMap(finding.map), text: t(finding.kind) } : null;
  }

  show(scene, found) {
    const { root } = this.viewer;
    if (!found) {
      this.highlight.hide();
      root.dataset.highlight = '';
      return;
    }
    const text = t(found.positions === 1 ? '{count} position: {what}' : '{count} positions: {what}', { count: whole(found.positions), what: found.text });
    // In a comparison the difference, whose colours are numbers, takes the output's place.
    this.highlight.show(scene, found, text, this.viewer.sides.length === 1);
    this.viewer.tell(text);
    root.dataset.highlight = text;
  }
}

const quantityName = (quantity) => t(QUANTITIES[quantity]);
const groupName = (group) => t('group {group}', { group });
const tapName = (tap) => t('tap {tap}', { tap });

/** What is counted, in words. */
function titleOf({ quantity, bar_group: group, bar_tap: tap }, scene) {
  const what = quantity === 'mask' ? t('mask') : t('{what} in pixels', { what: quantityName(quantity) });
  return [what, ...whose(group, tap, scene)].join(t(', '));
}

/** Of which tap and group values are; nothing of all of them. */
function whose(group, tap, scene) {
  if (tap === null) return group === null ? [] : [groupName(group)];
  if (scene.G === 1) return [tapName(tap)];
  return [tapName(tap), group === null ? t('all groups') : groupName(group)];
}

/** {findings, facts} of a scene, fetched once. */
function aboutOf(scene) {
  const { view } = scene;
  scene.about ??= (view.findings && view.facts ? Promise.resolve(view) : fetchAbout(view)).catch((error) => {
    scene.about = null; // the next one to ask tries again
    throw error;
  });
  return scene.about;
}

async function fetchAbout({ data, findings, facts }) {
  const told = data.facts ? await loadJSON(data.facts) : {};
  return { findings: [], facts: [], ...told, ...(findings && { findings }), ...(facts && { facts }) };
}
