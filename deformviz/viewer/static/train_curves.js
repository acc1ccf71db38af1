/* Loss or accuracy over the steps, as SVG: the run that is looked at, the others thin below it, and
 * a marker at its moment. */

import { brief, clamp, element, shape } from './dom.js';
import { t } from './words.js';

const EDGE = { left: 40, right: 10, top: 8, bottom: 20 };
const MOST_TICKS = 4;

/** From 0 to the first round number that is not below `top`. */
export function roundTicks(top, most = MOST_TICKS) {
  const power = 10 ** Math.floor(Math.log10(top / (most - 1)));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => power * factor * (most - 1) >= top * (1 - 1e-9));
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, i) => i * step);
}

export class Curves {
  /**
   * @param root the figure; `measure` is 'loss' or 'accuracy'; `pick` is told a step.
   */
  constructor(root, measure, pick) {
    Object.assign(this, { root, measure, shown: null });
    this.title = element('span');
    this.kinds = element('select', { 'aria-label': t('scored on'), title: t('scored on'), hidden: '' });
    this.kinds.addEventListener('input', () => this.draw(this.shown));
    this.keys = element('span', { class: 'dv-keys' });
    root.appendChild(element('figcaption')).append(this.title, this.kinds, this.keys);
    this.svg = shape('svg', { role: 'img' }, root);
    this.svg.addEventListener('pointerdown', (event) => this.scrub(event, pick));
    this.svg.addEventListener('pointermove', (event) => { if (event.buttons === 1) this.scrub(event, pick); });
    new ResizeObserver(() => this.draw(this.shown)).observe(this.svg);
  }

  scrub(event, pick) {
    if (!this.shown) return;
    const { left } = this.svg.getBoundingClientRect();
    const part = (event.clientX - left - EDGE.left) / (this.width - EDGE.left - EDGE.right);
    pick(clamp(part, 0, 1) * this.last);
  }

  /**
   * @param shown {run, others, index, title}: runs with `moments`, the moment that is looked at.
   */
  draw(shown) {
    this.shown = shown;
    [this.width, this.height] = [this.svg.clientWidth, this.svg.clientHeight];
    if (!shown || !this.width) return;
    this.offerKinds(shown);
    const runs = [...shown.others, shown.run].filter(({ moments }) => moments.length);
    this.last = Math.max(1, ...runs.map(({ moments }) => moments[0].steps));
    const values = runs.flatMap(({ moments }) => moments.flatMap(({ scores }) => Object.values(scores).map((score) => this.valueOf(score))));
    const ticks = this.measure === 'accuracy' ? [0, 0.25, 0.5, 0.75, 1] : roundTicks(Math.max(...values.filter(Number.isFinite), 1e-6));
    this.top = ticks.at(-1);
    this.svg.setAttribute('viewBox', `0 0 ${this.width} ${this.height}`);
    this.svg.replaceChildren();
    this.drawAxes(ticks);
    for (const run of shown.others) this.drawRun(run, 'dv-former');
    this.drawRun(shown.run, 'dv-present');
    this.drawMarker(shown);
    this.drawCaption(shown);
  }

  /** Pictures like those of training, or of the kinds that it never shows. */
  offerKinds({ run, title }) {
    const scores = Object.values(run.moments[0]?.scores ?? {});
    const kinds = this.measure === 'accuracy' && scores.length ? Object.keys(scores[0].unseen) : [];
    const known = ['', ...kinds];
    this.kinds.hidden = kinds.length === 0;
    this.title.hidden = kinds.length > 0;
    const key = [title, ...known].join();
    if (this.kinds.dataset.kinds === key) return;
    this.kinds.dataset.kinds = key;
    const { value } = this.kinds;
    this.kinds.replaceChildren(...known.map((kind) => element('option', { value: kind }, kind ? `${title}${t(', ')}${t(kind)}` : title)));
    this.kinds.value = known.includes(value) ? value : '';
  }

  valueOf(score) {
    const kind = this.kinds.value;
    return kind ? score.unseen?.[kind] : score[this.measure];
  }

  place(step, value) {
    return [
      EDGE.left + ((this.width - EDGE.left - EDGE.right) * step) / this.last,
      this.height - EDGE.bottom - ((this.height - EDGE.top - EDGE.bottom) * clamp(value, 0, this.top)) / this.top,
    ];
  }

  drawAxes(ticks) {
    for (const tick of ticks) {
      const [, y] = this.place(0, tick);
      shape('path', { class: 'dv-grid', d: `M${EDGE.left} ${y}H${this.width - EDGE.right}` }, this.svg);
      this.text(EDGE.left - 6, y + 4, 'end', this.measure === 'accuracy' ? `${Math.round(100 * tick)} %` : brief(tick));
    }
    for (const step of [0, this.last / 2, this.last]) {
      const [x] = this.place(step, 0);
      const anchor = step === 0 ? 'start' : step === this.last ? 'end' : 'middle';
      this.text(x, this.height - 5, anchor, step === 0 ? t('step 0') : brief(Math.round(step)));
    }
  }

  text(x, y, anchor, text) {
    shape('text', { x, y, 'text-anchor': anchor }, this.svg).textContent = text;
  }

  /** A line for each network; the first is what the lesson is about. */
  drawRun({ name, moments }, kind) {
    if (!moments.length) return;
    Object.keys(moments[0].scores).forEach((network, i) => {
      const known = moments.filter(({ scores }) => Number.isFinite(this.valueOf(scores[network] ?? {})));
      const places = known.map(({ step, scores }) => this.place(step, this.valueOf(scores[network])));
      const d = places.map(([x, y], n) => `${n ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
      shape('path', { class: `dv-curve dv-network-${i} ${kind}`, d, 'data-run': name, 'data-network': network, 'data-points': places.length }, this.svg);
    });
  }

  drawMarker({ run, index }) {
    const moment = run.moments[index];
    if (!moment) return;
    const [x] = this.place(moment.step, 0);
    shape('path', { class: 'dv-now', d: `M${x} ${EDGE.top}V${this.height - EDGE.bottom}`, 'data-step': moment.step }, this.svg);
    Object.values(moment.scores).forEach((score, i) => {
      if (!Number.isFinite(this.valueOf(score))) return;
      const [cx, cy] = this.place(moment.step, this.valueOf(score));
      shape('circle', { class: `dv-network-${i}`, cx, cy, r: 4 }, this.svg);
    });
  }

  drawCaption({ run, index, title }) {
    const scores = Object.entries((run.moments[index] ?? run.moments[0])?.scores ?? {});
    const told = scores.map(([network, score], i) => {
      // Beside the names in the first figure, the second one's would take its title's place.
      const called = this.measure === 'loss' ? `${t(network)} ` : '';
      const node = element('span', { class: `dv-key dv-network-${i}`, title: t(network) }, called);
      node.append(element('b', {}, this.told(this.valueOf(score))));
      return node;
    });
    this.title.textContent = title;
    this.keys.replaceChildren(...told);
    this.svg.setAttribute('aria-label', `${title}: ${scores.map(([network, score]) => `${t(network)} ${this.told(this.valueOf(score))}`).join(', ')}`);
  }

  told(value) {
    if (!Number.isFinite(value)) return '–';
    return this.measure === 'accuracy' ? `${(100 * value).toFixed(1)} %` : value.toFixed(3);
  }
}
