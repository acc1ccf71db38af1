/* In the app: what the controls ask for, straight from the server.
 *
 * Gradio's queue would bring the same some 100 ms later. One question is under way, as the device
 * does one run at a time; of several from one control that wait, the last counts. */

import { t } from './words.js';

// LANGUAGE: the page's, in which the server answers; the bundle brings it along.

const PATIENCE = 500; // milliseconds, after which it is said that a run takes its time
const EVERY = 1000; // milliseconds, after which its place among those that wait is asked for again

/** A value as the server knows it: of an uploaded file, its path. */
const plainValue = (value) => value?.path ?? value;

export class Asking {
  /**
   * @param viewer that shows the answers.
   * @param base where the app is mounted.
   * @param mounted gives a view the addresses that it has there.
   * @param tell is told what went wrong: {kind, title, message}.
   */
  constructor(viewer, base, mounted, tell) {
    Object.assign(this, { viewer, base, mounted, tell, waiting: [], busy: false, before: null });
  }

  /** Ask, and promise what Gradio is to change beside the picture, in the order of the event's targets. */
  ask(control, value, values) {
    return new Promise((done) => {
      const older = this.waiting.findIndex((question) => question.control === control);
      if (older >= 0) this.waiting.splice(older, 1)[0].done([]);
      const ticket = Math.random().toString(36).slice(2); // for its place among those that wait
      this.waiting.push({ control, value: plainValue(value), values: values.map(plainValue), ticket, done });
      this.next();
    });
  }

  async next() {
    if (this.busy || !this.waiting.length) return;
    this.busy = true;
    const question = this.waiting.shift();
    const stopTelling = this.tellPlace(question.ticket);
    let told = [];
    try {
      told = await this.answer(question);
    } catch (error) {
      this.tell({ kind: 'error', title: error.title ?? t('Failed'), message: error.message });
    }
    stopTelling();
    question.done(told);
    this.busy = false;
    this.next();
  }

  /** Say now and then how far a question is that takes its time; gives what ends it. */
  tellPlace(ticket) {
    const line = this.viewer.part('loading');
    let said = '';
    let timer = 0;
    const say = (text) => {
      if (line.textContent === said) line.textContent = text; // or else it is another's word
      said = text;
    };
    const tell = async () => {
      const asked = await fetch(`${this.base}/deformviz-draw?ticket=${ticket}`).catch(() => null);
      const { place, length } = asked?.ok ? await asked.json() : {};
      if (!timer) return;
      say(place ? t('waiting for a turn: {place} of {length}', { place, length }) : t('the run is under way …'));
      timer = setTimeout(tell, EVERY);
    };
    timer = setTimeout(tell, PATIENCE);
    return () => {
      clearTimeout(timer);
      timer = 0;
      say('');
    };
  }

  async answer({ control, value, values, ticket }) {
    const { before, viewer } = this;
    const ground = viewer.next?.grounds.image;
    const answer = await this.post({ control, value, values, before, address: window.location.search, ground: ground?.name }, ticket);
    this.before = answer.values;
    this.passOn(values, answer.values);
    if (answer.warning) this.tell({ kind: 'warning', ...answer.warning });
    if (!answer.view) return [];
    const { image } = answer.view.grounds;
    if (image.same) image.source = ground.source;
    viewer.show(this.mounted(answer.view, this.base));
    return answer.told;
  }

  async post(question, ticket) {
    const response = await fetch(`${this.base}/deformviz-draw?language=${LANGUAGE}&ticket=${ticket}`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(question),
    }).catch(() => { throw new Error(t('The server cannot be reached.')); });
    const answer = await response.json().catch(() => { throw new Error(t('The server said {status}.', { status: response.status })); });
    if (!response.ok) throw Object.assign(new Error(answer.message), { title: answer.title });
    return answer;
  }

  /** What an answer has changed beside the control holds for the questions that wait, too. */
  passOn(values, now) {
    for (const other of this.waiting) {
      now.forEach((value, i) => {
        if (value !== values[i] && other.values[i] === values[i]) other.values[i] = value;
      });
    }
  }
}
