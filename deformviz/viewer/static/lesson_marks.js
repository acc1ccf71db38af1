/* What a reader has done, kept in this browser alone. */

const KEY = 'deformviz-lessons';

export class Marks {
  constructor() {
    this.all = {};
    try {
      this.all = { ...JSON.parse(window.localStorage.getItem(KEY) ?? '{}') };
    } catch { /* a browser that keeps nothing, or what is no JSON: nothing is done yet */ }
  }

  /** Of a lesson; of another version of its file none is kept. */
  of({ name, version }) {
    const known = Object.hasOwn(this.all, name) ? this.all[name] : null;
    const done = known?.version === version && Array.isArray(known.done) ? known.done : [];
    return { version, done: done.map(String), seen: Number(known?.version === version ? known.seen : 0) || 0 };
  }

  isDone(lesson, step, task) { return this.of(lesson).done.includes(`${step}.${task}`); }

  /** Tick a task of a step. */
  tick(lesson, step, task) {
    const marks = this.of(lesson);
    if (!marks.done.includes(`${step}.${task}`)) marks.done.push(`${step}.${task}`);
    this.keep(lesson, marks);
  }

  /** That a step has been looked at. */
  see(lesson, step) {
    const marks = this.of(lesson);
    this.keep(lesson, { ...marks, seen: Math.max(marks.seen, step) });
  }

  /** {done, of}: tasks of a lesson; one without tasks is done when its last step was seen. */
  progress(lesson) {
    const { done, seen } = this.of(lesson);
    const of = lesson.steps.reduce((sum, { tasks }) => sum + tasks, 0);
    return { done: done.length, of, whole: done.length >= of && seen >= lesson.steps.length };
  }

  forget() {
    this.all = {};
    this.save();
  }

  keep({ name }, marks) {
    this.all[name] = marks;
    this.save();
  }

  save() {
    try {
      window.localStorage.setItem(KEY, JSON.stringify(this.all));
    } catch { /* then they last as long as the page */ }
  }
}
