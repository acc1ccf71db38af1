/* The viewer's own controls: what they say is the state, and no server is asked. */

import { element, number } from './dom.js';
import { t } from './words.js';

const ARROWS = 30;
const SHORT = {
  none: 'photo', 'field colours': 'field', 'x coordinate': 'x', 'y coordinate': 'y',
};

export class Controls {
  /** @param changed is told the names of the state that a control has set, and their values. */
  constructor(root, changed, act) {
    this.root = root;
    this.arrows = ARROWS;
    this.nodes = {};
    for (const node of root.querySelectorAll('[data-control]')) {
      this.nodes[node.dataset.control] = node;
      node.addEventListener('input', () => changed(this.read(node)));
    }
    for (const node of root.querySelectorAll('[data-action]')) {
      node.addEventListener('click', () => act(node.dataset.action, node));
    }
    this.over = root.querySelector('[data-part="over"]');
    this.over.addEventListener('change', (event) => changed({ over: event.target.value }));
    this.name = `dv-over-${Math.random().toString(36).slice(2)}`; // radio buttons need one of their own
    this.closeMenus();
  }

  closeMenus() {
    const menus = [...this.root.querySelectorAll('.dv-menu')];
    document.addEventListener('pointerdown', (event) => {
      for (const menu of menus) if (!menu.contains(event.target)) menu.open = false;
    });
    for (const menu of menus) {
      menu.addEventListener('keydown', (event) => { if (event.key === 'Escape') menu.open = false; });
    }
  }

  action(name) { return this.root.querySelector(`[data-action="${name}"]`); }

  /** What a control now says, as state. */
  read(node) {
    const name = node.dataset.control;
    if (name === 'arrowsOn') return { arrows: node.checked ? this.arrows : 0 };
    if (name === 'arrows') {
      this.arrows = Number(node.value);
      return { arrows: this.arrows };
    }
    if (node.type === 'checkbox') return { [name]: node.checked };
    if (node.tagName === 'SELECT' && name !== 'palette') return { [name]: node.value === 'all' ? null : Number(node.value) };
    if (node.type === 'number') return Number.isInteger(node.valueAsNumber) ? { [name]: Math.max(0, node.valueAsNumber) } : {};
    return { [name]: node.type === 'range' ? Number(node.value) : node.value };
  }

  /** Offer what a scene has. */
  offer({ view }) {
    const overlays = ['none', ...view.overlays];
    this.over.replaceChildren(...overlays.map((name) => {
      const label = element('label', {}, t(SHORT[name] ?? name));
      label.prepend(element('input', { type: 'radio', name: this.name, value: name }));
      return label;
    }));
    this.choices('palette', ['perceptual', 'Middlebury'].map((name) => [name, t(name)]));
    this.choices('output_channel', channels(view.channels.output, t('mean')));
    this.choices('input_channel', channels(view.channels.input, t('all')));
    this.nodes.tap.max = view.taps - 1;
    this.nodes.group.max = view.groups - 1;
    [this.nodes.y.max, this.nodes.x.max] = view.header.output_size.map((n) => n - 1);
    this.nodes.arrowsOn.disabled = !view.moves;
  }

  choices(name, options) {
    this.nodes[name].replaceChildren(...options.map(([value, text]) => element('option', { value }, text)));
  }

  /** Show the state of a scene; a box that is being typed in is left alone. */
  show(state, edit, { view }) {
    const set = (name, value) => {
      const node = this.nodes[name];
      if (node !== document.activeElement || node.type !== 'number') node.value = value;
    };
    for (const radio of this.over.querySelectorAll('input')) radio.checked = radio.value === state.over;
    this.nodes.points.checked = state.points;
    this.nodes.arrowsOn.checked = state.arrows > 0;
    if (state.arrows) this.arrows = state.arrows;
    set('arrows', this.arrows);
    this.nodes.arrows.disabled = !state.arrows;
    for (const name of ['tap', 'group', 'palette', 'morph']) set(name, state[name]);
    for (const name of ['output_channel', 'input_channel']) set(name, state[name] ?? 'all');
    this.showPosition(state);
    this.showEdit(state, edit);
    const perTap = state.arrows > 0 || ['field colours', 'magnitude', 'mask'].includes(state.over);
    this.reveal('tap', perTap && view.taps > 1);
    this.reveal('group', view.groups > 1 && (perTap || view.taps > 1));
    this.reveal('palette', state.over === 'field colours');
  }

  reveal(name, shown) { this.root.querySelector(`[data-for="${name}"]`).hidden = !shown; }

  showPosition({ y, x, pinned }) {
    for (const [name, value] of [['y', y], ['x', x]]) {
      const node = this.nodes[name];
      if (node !== document.activeElement && node.value !== String(value)) node.value = value;
    }
    const button = this.action('pin');
    const text = t(pinned ? 'pinned' : 'pin');
    if (button.textContent !== text) {
      button.textContent = text;
      button.setAttribute('aria-pressed', pinned);
    }
  }

  showEdit(state, edit) {
    const texts = { scale: number(edit.scale, 2), rotate: `${number(edit.rotate, 0)}°`, shear: number(edit.shear, 2) };
    for (const [name, text] of Object.entries(texts)) {
      this.nodes[name].value = edit[name];
      this.root.querySelector(`output[data-part="${name}"]`).textContent = text;
    }
  }
}

const channels = (names, all) => [
  ...names.map((name, i) => [i, t(name)]),
  ...(names.length > 1 ? [['all', all]] : []),
];
