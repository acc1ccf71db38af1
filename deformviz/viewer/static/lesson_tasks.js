/* A step's tasks: what to do, a hint, and a tick as soon as it is done. */

import { element } from './dom.js';
import { holds, isRight, isWatched, typedNumber } from './lesson_conditions.js';
import { plainText, textNodes } from './lesson_text.js';

const DWELL = 350; // milliseconds that a tap is pointed at, for not to be passed over only

export class Tasks {
  /** @param lessons whose words, lights, marks and viewer they have. */
  constructor(lessons, box) {
    Object.assign(this, { lessons, box, rows: [], pointedAt: null, watching: false });
    const { root } = lessons.viewer;
    root.addEventListener('dv-change', () => this.look());
    root.addEventListener('dv-light', () => this.onLight());
  }

  /** @param isDone whether a task was done before; `tick` is told of one that is done now. */
  draw(tasks, isDone, tick) {
    this.tick = tick;
    this.watching = false;
    this.pointedAt = null;
    this.rows = tasks.map((task, i) => this.makeRow(task, i, isDone(i)));
    const list = element('ol', { class: 'dv-tasks' });
    list.append(...this.rows.map(({ node }) => node));
    const heading = element('h3', {}, this.lessons.words.tasks);
    this.box.replaceChildren(...(tasks.length ? [heading, list] : []));
  }

  makeRow(task, i, done) {
    const { words, lights } = this.lessons;
    const node = element('li', { class: 'dv-task', 'data-task': i });
    const sign = element('span', { class: 'dv-tick', role: 'img' });
    const body = element('div');
    const row = { task, i, node, sign, body, done: false };
    body.append(...textNodes(task.ask, lights));
    row.answer = isWatched(task.done) ? null : this.makeAnswer(row);
    if (row.answer) body.append(row.answer);
    if (task.hint) {
      row.hint = element('details', { class: 'dv-hint' });
      row.hint.append(element('summary', {}, words.hint), ...textNodes(task.hint, lights));
      body.append(row.hint);
    }
    row.said = element('div', { class: 'dv-task-said' });
    body.append(row.said);
    node.append(sign, body);
    this.show(row, done);
    return row;
  }

  show(row, done) {
    const { words, lights } = this.lessons;
    row.done = done;
    row.node.classList.toggle('dv-done', done);
    row.sign.textContent = done ? '✓' : '';
    row.sign.setAttribute('aria-label', done ? words.taskdone : words.taskopen);
    if (!done) return;
    row.said.className = 'dv-task-said';
    row.said.replaceChildren(...textNodes(row.task.said ?? [], lights));
    if (row.hint) row.hint.hidden = true;
  }

  // --- what is answered in the task ----------------------------------------------------------

  makeAnswer(row) {
    return row.task.done.kind === 'choice' ? this.makeChoice(row) : this.makeNumber(row);
  }

  makeChoice(row) {
    const { words } = this.lessons;
    const group = element('div', { class: 'dv-choice', role: 'group', 'aria-label': words.answer });
    group.append(...row.task.done.options.map((text, n) => {
      const button = element('button', { type: 'button', 'data-option': n }, text);
      button.addEventListener('click', () => {
        for (const each of group.children) each.removeAttribute('aria-pressed');
        button.setAttribute('aria-pressed', 'true');
        this.take(row, n);
      });
      return button;
    }));
    return group;
  }

  makeNumber(row) {
    const { words } = this.lessons;
    const form = element('form', { class: 'dv-typed' });
    const box = element('input', { type: 'text', inputmode: 'decimal', autocomplete: 'off', 'aria-label': words.answer });
    form.append(box, element('button', { type: 'submit' }, words.check));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.take(row, typedNumber(box.value));
    });
    return form;
  }

  take(row, answer) {
    if (row.done) return;
    if (isRight(row.task.done, answer)) { this.finish(row); return; }
    const { words } = this.lessons;
    row.said.className = 'dv-task-said dv-wrong';
    row.said.textContent = Number.isNaN(answer) ? words.nonumber : words.wrong;
    this.lessons.tell(row.said.textContent);
  }

  // --- what is watched for -------------------------------------------------------------------

  /** From now on: the step's view is there, and the reader has the word. */
  watch(on) { this.watching = on; }

  onLight() {
    clearTimeout(this.resting);
    this.pointedAt = null;
    const { viewer } = this.lessons;
    this.resting = setTimeout(() => {
      this.pointedAt = viewer.a.lit;
      this.look();
    }, DWELL);
  }

  look() {
    const { viewer, lights, controls } = this.lessons;
    if (!this.watching || lights.on) return;
    for (const row of this.rows) {
      if (row.done || row.answer) continue;
      if (holds(row.task.done, { viewer, pointedAt: this.pointedAt, controls })) this.finish(row);
    }
  }

  finish(row) {
    this.show(row, true);
    const said = row.task.said ? plainText(row.task.said) : '';
    this.lessons.tell(`${this.lessons.words.taskdone}: ${said}`);
    this.tick(row.i);
  }

  /** Which of the viewer's state the tasks ask for: their controls stay in projector mode. */
  get needs() {
    return this.rows.map(({ task }) => (task.done.kind === 'shows' ? task.done.name : task.done.kind));
  }
}
