/* The Train tab: networks learn on the server, and here one watches where they read. */

import { element } from './dom.js';
import { Curves } from './train_curves.js';
import { Knobs } from './train_knobs.js';
import { Moments } from './train_moments.js';
import { namesOf } from './train_names.js';
import { readTraining, writeTraining } from './train_address.js';
import { askServer, stateWords } from './train_asking.js';
import { drawScatter, hasShifts } from './train_scatter.js';
import { Scrubber } from './train_scrubber.js';
import { t } from './words.js';

const ASK_EVERY = 1000; // milliseconds between two questions
const MOST_RUNS = 6;

/** @param root the element of train.html; `base` where the app is mounted. */
export function mountTrain(root, base) {
  root.train ??= new Train(root, base);
  return root.train;
}

class Train {
  constructor(root, base) {
    Object.assign(this, { root, base, runs: [], shown: null, index: 0, following: true, seen: false });
    this.left = new Map(); // the viewer's state of each task that has been looked at
    this.viewer = window.deformviz.mount(root.querySelector('.dv-viewer'));
    this.viewer.controls.action('link').hidden = true; // the tab has a link of its own
    this.moments = new Moments(base);
    this.curves = ['loss', 'accuracy'].map((measure) => new Curves(this.part(measure), measure, (step) => this.pickStep(step)));
    this.scrubber = new Scrubber(this);
    this.listen();
  }

  part(name) { return this.root.querySelector(`[data-train="${name}"]`); }

  listen() {
    this.part('form').addEventListener('submit', (event) => { event.preventDefault(); this.start(); });
    this.part('stop').addEventListener('click', () => this.stop());
    this.part('copy').addEventListener('click', () => this.copyLink());
    // Gradio hides the tab without telling; nothing is asked for before it is seen.
    new ResizeObserver(() => this.onSeen(this.root.checkVisibility())).observe(this.root);
    window.addEventListener('pagehide', () => {
      for (const run of this.runs) if (isUnderWay(run)) navigator.sendBeacon(`${this.base}/deformviz-train/${run.name}/stop`);
    });
  }

  onSeen(seen) {
    if (seen === this.seen) return;
    this.seen = seen;
    if (seen) {
      this.opening ??= this.open();
      this.tellAddress();
      return;
    }
    writeTraining(null);
    document.querySelector('#viewer .dv-viewer')?.viewer?.tellState(); // now it is Explore's again
  }

  /** The tasks, and a run that was recorded: something finished is there at once. */
  async open() {
    const asked = readTraining();
    try {
      const { tasks, example } = await askServer(`${this.base}/deformviz-train`);
      this.tasks = tasks;
      this.knobs = new Knobs(this.part('knobs'), tasks, () => this.onKnobs());
      const refused = asked.task ? this.knobs.choose(asked.task, asked.knobs) : [];
      if (refused.length) this.problem(t('In the link, {names} has no such value here: it is as by default.', { names: refused.join(', ') }));
      this.tellAddress();
      if (example) this.add(example);
    } catch (error) {
      this.opening = null;
      this.problem(t(error.message));
    }
  }

  onKnobs() {
    this.problem('');
    this.tellAddress();
    this.drawButtons();
  }

  tellAddress() {
    if (this.seen && this.knobs) writeTraining({ task: this.knobs.name, knobs: this.knobs.changed });
  }

  async copyLink() {
    await navigator.clipboard.writeText(window.location.href);
    this.tell(t('copied'));
    this.part('copy').textContent = t('copied');
    setTimeout(() => { this.part('copy').textContent = t('copy link'); }, 1500);
  }

  problem(text) { this.part('problem').textContent = text; }

  tell(text) { this.part('said').textContent = text; }

  // --- runs ----------------------------------------------------------------------------------

  /** Begin another run; the one that is under way ends, and what has come of it stays. */
  async start() {
    if (!this.knobs || this.starting) return;
    this.starting = true;
    this.problem('');
    this.drawButtons();
    const before = this.runs.find(isUnderWay);
    const asked = { task: this.knobs.name, knobs: this.knobs.chosen, seed: this.knobs.seed, instead: before?.name };
    try {
      this.add(await askServer(`${this.base}/deformviz-train/start`, asked));
      this.poll();
    } catch (error) {
      this.problem(t(error.message));
    }
    this.starting = false;
    this.drawButtons();
  }

  async stop() {
    const run = this.runs.find(isUnderWay);
    if (!run) return;
    run.state = 'stopping';
    this.drawRuns();
    await askServer(`${this.base}/deformviz-train/${run.name}/stop`, {}).catch((error) => this.problem(t(error.message)));
  }

  add(run) {
    this.runs.push(run);
    while (this.runs.length > MOST_RUNS) this.moments.drop(this.runs.shift());
    this.look(run);
  }

  /** Look at a run, at its newest moment. */
  look(run) {
    this.shown = run;
    this.following = true;
    this.scrubber.play(false);
    this.showMoment(run.moments.length - 1);
    this.drawRuns();
  }

  /** Ask after the runs that are under way, once a second. */
  async poll() {
    clearTimeout(this.polling);
    for (const run of this.runs.filter(isUnderWay)) await this.askAfter(run);
    this.drawRuns();
    if (this.runs.some(isUnderWay)) this.polling = setTimeout(() => this.poll(), ASK_EVERY);
  }

  async askAfter(run) {
    try {
      const { moments, ...now } = await askServer(`${this.base}/deformviz-train/${run.name}?after=${run.moments.length}`);
      const state = run.state;
      Object.assign(run, now);
      if (moments.length) this.onMoments(run, moments);
      if (run.state !== state) this.tell(stateWords(run));
    } catch (error) {
      run.failures = (run.failures ?? 0) + 1; // a server that does not answer may do so again
      if (error.gone || run.failures > 30) Object.assign(run, { state: 'failed', problem: error.message });
    }
  }

  onMoments(run, moments) {
    run.failures = 0;
    run.moments.push(...moments);
    run.arrived = performance.now();
    if (run !== this.shown) return;
    if (this.following) this.showMoment(run.moments.length - 1);
    else this.drawCurves();
  }

  // --- a moment ------------------------------------------------------------------------------

  /** A person goes to a moment: from now on the newest is not followed, unless it is the newest. */
  go(index) {
    const last = this.shown.moments.length - 1;
    this.following = index >= last && isUnderWay(this.shown);
    return this.showMoment(index);
  }

  pickStep(step) {
    const { moments } = this.shown;
    const gaps = moments.map((moment) => Math.abs(moment.step - step));
    this.go(gaps.indexOf(Math.min(...gaps)));
  }

  /** Show a moment; those overtaken while their numbers come are skipped. */
  async showMoment(index) {
    const run = this.shown;
    this.index = Math.max(0, index);
    this.drawCurves();
    if (index < 0) return;
    this.wanted = { run, index };
    if (this.bringing) return;
    this.bringing = true;
    while (this.wanted) {
      const wanted = this.wanted;
      this.wanted = null;
      await this.draw(wanted).catch((error) => this.problem(t('The moment could not be loaded: {reason}', { reason: error.message })));
    }
    this.bringing = false;
  }

  async draw({ run, index }) {
    const opening = this.openingOf(run.task);
    const value = await this.moments.bring(run, index, opening ? opening.layer : this.viewer.state.layer);
    const moment = run.moments[index];
    value.layers.forEach((view, i) => {
      view.reach = Math.max(...run.moments.map(({ reach }) => reach[i])); // the kernel's axes stay
      view.called = `${this.nameOf(run)}${t(', ')}${t('step {step}', { step: moment.step })}`;
    });
    await this.viewer.show(opening ? { ...value, state: opening } : value);
    this.drawn = run.task;
    this.root.dataset.moment = `${run.name} ${moment.step}`;
    this.drawBeside(value.layers[value.shown], value.pictures);
  }

  /** What the viewer opens another task with; as it was left, where it was there before. */
  openingOf(task) {
    if (task === this.drawn) return null; // it keeps its own state
    if (this.drawn) this.left.set(this.drawn, { ...this.viewer.state });
    return this.left.get(task) ?? this.tasks.find(({ name }) => name === task).start;
  }

  /** Beside the curves: the shifts, where a layer has them, or what else is known of the moment. */
  drawBeside(view, pictures) {
    const [box, shifts] = [this.part('beside'), hasShifts(view)];
    box.hidden = !shifts && pictures.length === 0;
    box.classList.toggle('dv-pictures', pictures.length > 0);
    if (shifts) drawScatter(box, view, view.reach / 1.12);
    else box.replaceChildren(...pictures.map(({ caption, source }) => this.picture(t(caption), source)));
  }

  picture(caption, source) {
    const box = element('figure');
    box.append(element('figcaption', {}, caption), element('img', { src: source, alt: caption }));
    return box;
  }

  // --- what is seen --------------------------------------------------------------------------

  nameOf(run) { return namesOf(this.runs, this.tasks)[this.runs.indexOf(run)] ?? ''; }

  drawCurves() {
    const run = this.shown;
    const others = this.runs.filter((other) => other !== run && other.task === run.task);
    const { measure } = this.tasks.find(({ name }) => name === run.task);
    const titles = [t('loss'), t(measure)];
    this.curves.forEach((curves, i) => curves.draw({ run, others, index: this.index, title: titles[i] }));
    this.scrubber.draw();
  }

  drawRuns() {
    const names = namesOf(this.runs, this.tasks);
    const rows = this.runs.map((run, i) => {
      const row = element('li');
      const button = element('button', { type: 'button', 'aria-pressed': run === this.shown });
      button.append(element('b', {}, names[i]), element('span', { class: 'dv-quiet' }, stateWords(run)));
      button.addEventListener('click', () => this.look(run));
      for (const name of ['pointerenter', 'pointerleave']) button.addEventListener(name, () => this.point(run, name === 'pointerenter'));
      row.append(button);
      if (run.trained) row.append(element('a', { href: `${this.base}/deformviz-train/${run.name}/trained.safetensors`, download: '', title: t('the weights of both networks') }, '↓'));
      return row;
    }).toReversed();
    this.part('runs').replaceChildren(...rows);
    this.part('runs-box').hidden = this.runs.length === 0;
    this.part('hint').hidden = this.runs.length < 2;
    this.drawProgress();
    this.drawButtons();
  }

  point(run, on) {
    for (const line of this.root.querySelectorAll('.dv-former')) line.classList.toggle('dv-pointed', on && line.dataset.run === run.name);
  }

  drawProgress() {
    const run = this.runs.find(isUnderWay) ?? this.shown;
    this.part('state').textContent = run ? stateWords(run) : '';
    const last = run?.moments.at(-1);
    const bar = this.part('progress');
    bar.hidden = !run || !isUnderWay(run);
    bar.value = last ? last.step / last.steps : 0;
  }

  drawButtons() {
    const busy = this.runs.some(isUnderWay);
    this.part('stop').hidden = !busy;
    const beside = this.runs.some((run) => run.task === this.knobs?.name);
    this.part('start').textContent = t(beside ? 'Train again beside' : 'Train');
    this.part('start').disabled = !this.knobs || Boolean(this.starting);
  }
}

const isUnderWay = ({ state }) => ['waiting', 'running', 'stopping'].includes(state);
