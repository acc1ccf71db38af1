/* What moves by itself, once a person has asked for it; where motion is not wanted, in steps. */

import { sweepPosition } from './state.js';
import { t } from './words.js';

const SWEEP_SECONDS = 24;
const MORPH_SECONDS = 1.6;

const stillness = () => window.matchMedia('(prefers-reduced-motion: reduce)').matches;

export class Play {
  constructor(viewer) {
    this.viewer = viewer;
    this.morphing = null;
    this.sweeping = null;
  }

  /** From where the slider is to the deformed grid, or from the start; pressed again, pause. */
  morph() {
    this.morphing = this.morphing ? null : {};
    this.showMorphing();
    if (!this.morphing) return;
    const mine = this.morphing;
    const { state } = this.viewer;
    const from = state.morph < 1 ? state.morph : 0;
    const start = performance.now();
    let last = state.morph;
    const turn = (now) => {
      if (this.morphing !== mine) return;
      if (state.morph !== last) { this.stopMorph(); return; } // someone has moved the slider
      const part = Math.max(0, now - start) / 1000 / MORPH_SECONDS;
      const morph = stillness() ? 1 : Math.min(1, from + part);
      this.viewer.set({ morph });
      this.viewer.controls.nodes.morph.value = morph;
      last = morph;
      if (morph < 1) requestAnimationFrame(turn);
      else this.stopMorph();
    };
    requestAnimationFrame(turn);
  }

  stopMorph() {
    this.morphing = null;
    this.showMorphing();
  }

  showMorphing() {
    const button = this.viewer.controls.action('morph');
    button.textContent = this.morphing ? '❚❚' : '▶';
    button.setAttribute('aria-label', t(this.morphing ? 'pause' : 'play from regular to deformed'));
  }

  /** Walk over the output, until someone hovers. */
  sweep(on) {
    const { viewer } = this;
    if (on === Boolean(this.sweeping)) return;
    viewer.controls.action('sweep').setAttribute('aria-pressed', on);
    viewer.state.sweep = on;
    this.sweeping = on ? { start: performance.now() } : null;
    if (!on) {
      viewer.tellState();
      return;
    }
    viewer.state.pinned = false;
    const mine = this.sweeping;
    const still = stillness();
    const step = (now) => {
      if (this.sweeping !== mine) return;
      const { h, w } = viewer.a.scene;
      viewer.moveTo(...sweepPosition((now - mine.start) / 1000 / SWEEP_SECONDS, h, w));
      if (still) setTimeout(() => step(performance.now()), 1000);
      else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }
}
