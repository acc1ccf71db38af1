/* Projector mode: large type, the picture, and nothing else; the whole screen where it may be. */

const WHERE = {
  over: '[data-part="over"]',
  arrows: 'label:has([data-control="arrowsOn"])',
  tap: '[data-for="tap"]',
  group: '[data-for="group"]',
  output_channel: 'label:has([data-control="output_channel"])',
  input_channel: 'label:has([data-control="input_channel"])',
  morph: 'label:has([data-control="morph"])',
  points: 'label:has([data-control="points"])',
  layer: '[data-part="picker"]',
  follow: '[data-part="follow"]',
  pinned: '.dv-pin',
};

export class Projector {
  constructor(lessons) {
    Object.assign(this, { lessons, on: false });
    this.button = lessons.part('projector');
    this.button.addEventListener('click', () => this.turn(!this.on, true));
    document.addEventListener('fullscreenchange', () => {
      if (!document.fullscreenElement && this.wasFull) this.turn(false); // Escape was pressed
      this.wasFull = Boolean(document.fullscreenElement);
    });
  }

  name() {
    const { words } = this.lessons;
    this.button.textContent = this.on ? words.leave : words.projector;
    this.button.setAttribute('aria-pressed', this.on);
  }

  /** @param byHand whether a key or a button asked: only then the whole screen may be taken. */
  turn(on, byHand = false) {
    if (on === this.on) return;
    this.on = on;
    document.body.classList.toggle('dv-projector', on);
    this.name();
    this.lessons.tellAddress();
    if (on && byHand) document.documentElement.requestFullscreen?.().catch(() => {}); // then as large as the window
    if (!on && document.fullscreenElement) document.exitFullscreen();
  }

  /** Of the viewer's controls, leave those that the step's tasks need. */
  keep(needs) {
    const { root } = this.lessons.viewer;
    for (const node of root.querySelectorAll('.dv-needed')) node.classList.remove('dv-needed');
    for (const name of needs) if (WHERE[name]) root.querySelector(WHERE[name])?.classList.add('dv-needed');
    root.classList.toggle('dv-needs-about', needs.some((name) => ['about', 'quantity', 'finding', 'bar_tap'].includes(name)));
  }
}
