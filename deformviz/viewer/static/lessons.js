/* The Lessons tab: a list, or one lesson's step beside a viewer. Steps come from the server when
 * they are asked for, the next one before it is. */

import { clamp, element } from './dom.js';
import { controlNodes } from './lesson_controls.js';
import { Lights } from './lesson_lights.js';
import { listNodes, worded } from './lesson_list.js';
import { Marks } from './lesson_marks.js';
import { Projector } from './lesson_projector.js';
import { Tasks } from './lesson_tasks.js';
import { textNodes } from './lesson_text.js';
import { readAddress, writeAddress } from './lesson_address.js';

/** @param root the element of lessons.html; `base` where the app is mounted; `language` the page's. */
export function mountLessons(root, base, language) {
  root.lessons ??= new Lessons(root, base, language);
  return root.lessons;
}

class Lessons {
  constructor(root, base, language) {
    Object.assign(this, { root, base, language, words: {}, contents: [], lesson: null, step: 1, controls: {} });
    this.viewer = window.deformviz.mount(root.querySelector('.dv-viewer'));
    this.viewer.controls.action('link').hidden = true; // the lesson has a link of its own
    this.marks = new Marks();
    this.lights = new Lights(root, this.viewer);
    this.tasks = new Tasks(this, this.part('tasks'));
    this.projector = new Projector(this);
    this.coming = new Map(); // steps by their address
    this.listen();
    this.start();
  }

  part(name) { return this.root.querySelector(`[data-lesson="${name}"]`); }

  tell(text) { this.part('said').textContent = text; }

  async start() {
    const { words, lessons } = await (await fetch(`${this.base}/deformviz-lessons?lang=${this.language}`)).json();
    Object.assign(this, { words, contents: lessons });
    for (const name of ['all', 'back', 'copy', 'again', 'explore', 'keys']) this.part(name).textContent = words[name];
    this.part('controls').setAttribute('aria-label', words.controls);
    this.projector.name();
    const { projector } = readAddress(); // before the address is told anew
    await this.follow();
    if (projector && this.lesson) this.projector.turn(true);
  }

  /** A reader's own way on: to the list, or to a step. The browser's back button leads back. */
  walk(lesson, step = 1) {
    const last = this.contents.find(({ name }) => name === lesson)?.steps.length ?? 1;
    writeAddress({ lesson, step: clamp(step, 1, last), projector: this.projector.on }, true);
    return this.follow();
  }

  /** Go where the address says. */
  async follow() {
    const { lesson, step } = readAddress();
    if (!lesson) this.showList();
    else if (lesson !== this.lesson?.name || step !== this.step) await this.open(lesson, step);
    else this.tellAddress();
  }

  listen() {
    this.part('all').addEventListener('click', () => this.walk(''));
    this.part('back').addEventListener('click', () => this.walk(this.lesson.name, this.step - 1));
    this.part('next').addEventListener('click', () => this.forward());
    this.part('again').addEventListener('click', () => this.showStep());
    this.part('copy').addEventListener('click', () => this.copyLink());
    this.part('explore').addEventListener('pointerdown', () => this.leadToExplore());
    this.part('explore').addEventListener('focus', () => this.leadToExplore());
    document.addEventListener('keydown', (event) => this.onKey(event));
    window.addEventListener('popstate', () => {
      if (this.contents.length && readAddress().lesson !== null) this.follow();
    });
    // Gradio hides the tab without telling: the address is a lesson's while the lessons are seen.
    new ResizeObserver(() => this.onSeen(this.root.checkVisibility())).observe(this.root);
  }

  onSeen(seen) {
    if (seen === this.seen) return;
    this.seen = seen;
    if (seen) { this.tellAddress(); return; }
    this.projector.turn(false);
    writeAddress(null);
    document.querySelector('#viewer .dv-viewer')?.viewer?.tellState(); // now it is Explore's again
  }

  tellAddress() {
    if (!this.seen || !this.contents.length) return;
    writeAddress({ lesson: this.lesson?.name ?? '', step: this.step, projector: this.projector.on });
  }

  // --- the list ------------------------------------------------------------------------------

  showList(unknown = '') {
    this.projector.turn(false);
    this.lights.out();
    this.tasks.watch(false);
    this.lesson = null;
    const list = this.part('list');
    const { words, contents, marks } = this;
    list.replaceChildren(...listNodes({ words, contents, marks, unknown }, (name) => this.walk(name), () => {
      marks.forget();
      this.showList();
    }));
    list.hidden = false;
    this.part('one').hidden = true;
    this.tellAddress();
  }

  // --- a lesson ------------------------------------------------------------------------------

  async open(name, step) {
    const lesson = this.contents.find((each) => each.name === name);
    if (!lesson) { this.showList(name); return; }
    this.lesson = lesson;
    this.part('list').hidden = true;
    this.part('one').hidden = false;
    this.part('name').textContent = lesson.title;
    this.part('dots').setAttribute('aria-label', lesson.title);
    this.part('dots').replaceChildren(...lesson.steps.map(({ title }, i) => {
      const dot = element('button', { type: 'button', title: `${i + 1}. ${title}`, 'aria-label': `${i + 1}. ${title}` });
      dot.addEventListener('click', () => this.walk(name, i + 1));
      return dot;
    }));
    await this.go(step);
  }

  forward() {
    const { name, steps } = this.lesson;
    return this.step < steps.length ? this.walk(name, this.step + 1) : this.walk('');
  }

  async go(step) {
    this.step = clamp(step, 1, this.lesson.steps.length);
    this.changes = {};
    this.tellAddress();
    this.showDots();
    await this.showStep();
    this.part('article').scrollTop = 0;
    this.part('article').scrollIntoView({ block: 'nearest' });
    this.part('article').focus({ preventScroll: true });
    if (this.lesson && this.step < this.lesson.steps.length) this.fetchStep(this.step + 1, {}).catch(() => {});
  }

  showDots() {
    const { lesson, marks } = this;
    [...this.part('dots').children].forEach((dot, i) => {
      const done = Array.from({ length: lesson.steps[i].tasks }, (_, n) => marks.isDone(lesson, i + 1, n));
      dot.classList.toggle('dv-done', done.length > 0 && done.every(Boolean));
      if (i + 1 === this.step) dot.setAttribute('aria-current', 'step');
      else dot.removeAttribute('aria-current');
    });
    const { words } = this;
    this.part('count').textContent = worded(words.step, this.step, lesson.steps.length);
    this.part('back').disabled = this.step === 1;
    this.part('next').textContent = this.step === lesson.steps.length ? words.end : words.next;
  }

  /** The step as it begins: text, tasks, controls and view. */
  async showStep() {
    const mine = this.showing = {};
    this.changes = {};
    this.root.dataset.step = '';
    this.tasks.watch(false);
    this.lights.out();
    let found;
    try {
      found = await this.fetchStep(this.step, {});
    } catch (error) {
      if (this.showing === mine) this.sayProblem(error);
      return;
    }
    if (this.showing !== mine || !this.lesson) return;
    this.drawText(found);
    await this.drawView(found, mine);
    if (this.showing === mine) this.root.dataset.step = `${this.lesson?.name} ${this.step}`;
  }

  sayProblem(error) {
    this.part('title').textContent = '';
    this.part('tasks').replaceChildren();
    this.part('text').replaceChildren(element('p', { role: 'alert' }, worded(this.words.failed, error.message)));
  }

  drawText({ title, text, tasks, controls, leads }) {
    const { lesson, step, marks } = this;
    this.part('title').textContent = title;
    this.part('text').replaceChildren(...textNodes(text, this.lights));
    this.tasks.draw(tasks, (i) => marks.isDone(lesson, step, i), (i) => {
      marks.tick(lesson, step, i);
      this.showDots();
    });
    marks.see(lesson, step);
    this.drawControls(controls);
    this.part('explore').hidden = !leads;
    this.projector.keep(this.tasks.needs);
  }

  drawControls(controls) {
    this.controls = Object.fromEntries(controls.map(({ name, value }) => [name, value]));
    this.part('controls').replaceChildren(...controlNodes(controls, (name, value) => this.change(name, value)));
  }

  async drawView({ view }, mine) {
    const { viewer } = this;
    if (viewer.b?.scene && !view.kept) await viewer.comparison.drop();
    viewer.unmove();
    await viewer.show(structuredClone(view)); // the viewer writes into what it is given
    if (this.showing !== mine) return;
    await this.numbersCame();
    if (this.showing === mine) this.tasks.watch(true);
  }

  /** Until the numbers of what is shown are there. */
  numbersCame() {
    const { viewer } = this;
    return new Promise((done) => {
      const look = () => {
        if (viewer.a.scene?.ready) { viewer.root.removeEventListener('dv-change', look); done(); }
      };
      viewer.root.addEventListener('dv-change', look);
      look();
    });
  }

  /** One of the step's controls was moved: the same step, drawn anew. */
  async change(name, value) {
    const mine = this.showing = {};
    this.changes = { ...this.changes, [name]: value };
    const { y, x, pinned, over } = this.viewer.state;
    try {
      const { view, controls } = await this.fetchStep(this.step, this.changes);
      if (this.showing !== mine) return;
      const focused = document.activeElement?.dataset.explore;
      if (name === 'operator' || name === 'field') this.drawControls(controls);
      else this.controls = Object.fromEntries(controls.map((each) => [each.name, each.value]));
      if (focused) this.part('controls').querySelector(`[data-explore="${focused}"]`)?.focus();
      await this.drawView({ view: { ...view, state: { ...view.state, y, x, pinned, over } } }, mine);
      this.tasks.look();
    } catch (error) {
      if (this.showing === mine) this.tell(error.message);
    }
  }

  /** What the server has of a step; fetched once. */
  fetchStep(step, changes) {
    const query = new URLSearchParams({ lang: this.language, ...changes });
    const address = `${this.base}/deformviz-lessons/${encodeURIComponent(this.lesson.name)}/${step}?${query}`;
    if (!this.coming.has(address)) {
      const coming = fetchJSON(address, this.base);
      this.coming.set(address, coming);
      coming.catch(() => this.coming.delete(address));
    }
    return this.coming.get(address);
  }

  // --- links and keys ------------------------------------------------------------------------

  async copyLink() {
    this.tellAddress();
    const button = this.part('copy');
    try {
      await navigator.clipboard.writeText(window.location.href);
      button.textContent = this.words.copied;
    } catch {
      button.textContent = window.location.search;
    }
    setTimeout(() => { button.textContent = this.words.copy; }, 2000);
  }

  leadToExplore() {
    if (this.viewer.a.scene) this.part('explore').href = `?${this.viewer.query()}`;
  }

  onKey(event) {
    if (!this.lesson || event.ctrlKey || event.metaKey || event.altKey || !this.root.checkVisibility()) return;
    if (event.target.closest?.('input, select, textarea, [role="tablist"], [role="listbox"], .dv-pane, .dv-scroll, .dv-bars')) return;
    const turn = (by) => () => this.walk(this.lesson.name, this.step + by);
    const keys = {
      ArrowRight: turn(1),
      PageDown: turn(1),
      ArrowLeft: turn(-1),
      PageUp: turn(-1),
      p: () => this.projector.turn(!this.projector.on, true),
      P: () => this.projector.turn(!this.projector.on, true),
    };
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  }
}

/** A step, or an error with the server's own words. */
async function fetchJSON(address, base) {
  const response = await fetch(address);
  const found = await response.json();
  if (!response.ok) throw new Error(found.problem ?? response.status);
  window.deformviz.viewMounted(found.view, base);
  return found;
}
