/* What is wrong with a layer, as a list: a click shows where. */

import { element } from './dom.js';
import { t } from './words.js';

const MARKS = { error: '✕', warning: '▲', info: '●' };

export class Findings {
  /** @param pick is told the number of the finding that is clicked. */
  constructor(box, pick) {
    this.box = box;
    this.pick = pick;
    this.nodes = [];
  }

  /** Instead of the list: what it waits for, or what went wrong. */
  say(text) {
    this.nodes = [];
    this.box.replaceChildren(element('p', { class: 'dv-quiet' }, text));
  }

  draw(findings) {
    if (!findings.length) {
      this.say(t('no findings'));
      return;
    }
    this.nodes = findings.map((finding, i) => this.item(finding, i));
    const list = element('ul');
    list.append(...this.nodes.map((node) => {
      const item = element('li');
      item.append(node);
      return item;
    }));
    this.box.replaceChildren(list);
  }

  item(finding, i) {
    const { severity, sentence } = finding;
    const shows = finding.map || finding.tap !== null || finding.group !== null;
    const node = shows ? element('button', { type: 'button', 'aria-pressed': false, title: t('show where') }) : element('div');
    node.className = 'dv-finding';
    node.append(
      element('b', { class: `dv-${severity}` }, `${MARKS[severity] ?? ''} ${t(severity)}`),
      ' ',
      element('span', {}, t(sentence)),
    );
    if (shows) node.addEventListener('click', () => this.pick(i));
    return node;
  }

  choose(chosen) {
    this.nodes.forEach((node, i) => { if (node.tagName === 'BUTTON') node.setAttribute('aria-pressed', i === chosen); });
  }
}

/** A finding's map, as `numpy.packbits` packs it: {found [rows * columns], size, step, positions}. */
export function unpackMap({ size, bits, step, positions }) {
  const bytes = atob(bits);
  const found = Uint8Array.from({ length: size[0] * size[1] }, (_, i) => (bytes.charCodeAt(i >> 3) >> (7 - (i & 7))) & 1);
  return { found, size, step: step ?? 1, positions: positions ?? found.reduce((sum, is) => sum + is, 0) };
}
