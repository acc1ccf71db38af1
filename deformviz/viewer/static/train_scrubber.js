/* Which moment of a run is looked at: a slider, and a button that plays them. */

import { t } from './words.js';

const EACH = 280; // milliseconds that a moment is seen when they are played

export class Scrubber {
  constructor(train) {
    this.train = train;
    [this.slider, this.label, this.newest, this.button] = ['scrub', 'step', 'newest', 'play'].map((name) => train.part(name));
    this.slider.addEventListener('input', () => { this.play(false); train.go(Number(this.slider.value)); });
    this.newest.addEventListener('click', () => train.look(train.shown));
    this.button.addEventListener('click', () => this.play(!this.timer));
  }

  draw() {
    const { shown, index } = this.train;
    const { moments } = shown;
    this.slider.max = Math.max(0, moments.length - 1);
    this.slider.value = index;
    this.slider.disabled = this.button.disabled = moments.length < 2;
    const moment = moments[index];
    this.label.textContent = moment ? t('step {step} of {steps}', { step: moment.step, steps: moment.steps }) : '';
    this.slider.setAttribute('aria-valuetext', this.label.textContent);
    this.newest.hidden = index >= moments.length - 1;
  }

  /** Play the moments to the last, from the first one where it is at the last. */
  play(on) {
    clearTimeout(this.timer);
    this.timer = null;
    this.button.textContent = on ? '❚❚' : '▶';
    if (!on) return;
    const { train } = this;
    const at = train.index >= train.shown.moments.length - 1 ? -1 : train.index;
    this.timer = setTimeout(() => this.next(at + 1), 0);
  }

  async next(index) {
    const { train } = this;
    const [timer, start] = [this.timer, performance.now()];
    await train.go(index);
    if (this.timer !== timer) return;
    if (index >= train.shown.moments.length - 1) { this.play(false); return; }
    this.timer = setTimeout(() => this.next(index + 1), Math.max(0, EACH - (performance.now() - start)));
  }
}
