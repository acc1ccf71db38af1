/* What may be chosen before a training: the task, and its knobs. */

import { element } from './dom.js';
import { t } from './words.js';

const STRIP = 26; // letters of all values together, above which they are a list to choose from

/** A value of a knob as it is shown: words are told, numbers are not. */
export const knobText = (value) => (typeof value === 'string' ? t(value) : String(value));

export class Knobs {
  /** @param root where they stand; `tell` hears of every change. */
  constructor(root, tasks, tell) {
    Object.assign(this, { root, tasks, tell, chosen: {} });
    this.choose(tasks[0].name);
  }

  get task() { return this.tasks.find(({ name }) => name === this.name); }

  /** Another task, with its knobs as by default or as given, by name; texts may stand for values. */
  choose(name, given = {}) {
    this.name = this.tasks.some((task) => task.name === name) ? name : this.tasks[0].name;
    this.chosen = {};
    const refused = [];
    for (const knob of this.task.knobs) {
      const text = given[knob.name];
      const value = knob.values.find((each) => String(each) === String(text));
      if (text !== undefined && value === undefined) refused.push(knob.name);
      this.chosen[knob.name] = value ?? knob.default;
    }
    const seed = Number(given.seed ?? 0);
    this.seed = Number.isInteger(seed) && seed >= 0 && seed < 2 ** 31 ? seed : 0;
    this.draw();
    return refused;
  }

  /** What is not as by default. */
  get changed() {
    const knobs = this.task.knobs.filter(({ name, default: first }) => this.chosen[name] !== first);
    const own = Object.fromEntries(knobs.map(({ name }) => [name, this.chosen[name]]));
    return this.seed ? { ...own, seed: this.seed } : own;
  }

  draw() {
    const tasks = this.choice(t('task'), 'task', this.tasks.map(({ name, title }) => [name, t(title)]), this.name, (name) => {
      this.choose(name);
      this.tell();
    }, true);
    const lesson = element('p', { class: 'dv-quiet' }, t(this.task.lesson));
    const knobs = this.task.knobs.map(({ name, label, values }) => (
      this.choice(t(label), name, values.map((value) => [value, knobText(value)]), this.chosen[name], (value) => {
        this.chosen[name] = value;
        this.tell();
      })));
    this.root.replaceChildren(tasks, lesson, ...knobs, this.seedField());
  }

  /** One of several: buttons in a row, or a list where they would not fit. */
  choice(label, name, options, value, tell, wide = false) {
    const letters = options.reduce((sum, [, text]) => sum + text.length + 2, 0);
    if (!wide && letters > STRIP) return this.list(label, name, options, value, tell);
    const box = element('fieldset', { class: wide ? 'dv-knob dv-wide' : 'dv-knob', 'data-knob': name });
    const strip = element('div', { class: 'dv-strip' });
    for (const [each, text] of options) {
      const option = element('label', {}, text);
      const input = element('input', { type: 'radio', name: `train-${name}`, value: each });
      input.checked = each === value;
      input.addEventListener('input', () => tell(each));
      option.prepend(input);
      strip.append(option);
    }
    box.append(element('legend', {}, label), strip);
    return box;
  }

  list(label, name, options, value, tell) {
    const box = element('label', { class: 'dv-knob', 'data-knob': name }, label);
    const select = element('select');
    select.append(...options.map(([, text], i) => element('option', { value: i }, text)));
    select.value = options.findIndex(([each]) => each === value);
    select.addEventListener('input', () => tell(options[Number(select.value)][0]));
    box.append(select);
    return box;
  }

  seedField() {
    const box = element('label', { class: 'dv-knob dv-seed', 'data-knob': 'seed' }, t('seed'));
    const input = element('input', { type: 'number', min: 0, max: 2 ** 31 - 1, step: 1, value: this.seed });
    input.addEventListener('change', () => {
      this.seed = Math.min(Math.max(Math.round(input.valueAsNumber) || 0, 0), 2 ** 31 - 1);
      input.value = this.seed;
      this.tell();
    });
    box.append(input);
    return box;
  }
}
