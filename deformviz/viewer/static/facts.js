/* A layer's numbers in a few lines, and beside them those of the position that is shown. */

import { element, number, signed, write } from './dom.js';
import { affineFit, effectiveDilation } from './fit.js';
import { t } from './words.js';

const px = (value, format = number) => (Number.isFinite(value) ? `${format(value, 3)} px` : '–');

/** By the names that `deformviz.viewer.facts` gives them: a position's own numbers as text. */
const HERE = {
  'effective dilation': ({ dilation }) => px(dilation),
  'shift (dy, dx)': ({ shift: [dy, dx] }) => (Number.isFinite(dy) ? `${signed(dy, 3)}, ${signed(dx, 3)} px` : '–'),
  scale: ({ scale }) => number(scale, 3),
  rotation: ({ rotation }) => (Number.isFinite(rotation) ? `${number(rotation, 2)}°` : '–'),
  shear: ({ shear }) => number(shear, 3),
  residual: ({ residual }) => px(residual),
};

const ALONE = 'shift (dy, dx)'; // of a single tap, nothing else is known
const BETWEEN_GROUPS = ' · '; // what stands between groups

/** A fact's text, group by group. */
const factText = (text) => text.split(BETWEEN_GROUPS).map((part) => t(part)).join(BETWEEN_GROUPS);

/** A text that breaks between groups alone. */
const unbroken = (text) => text.split(BETWEEN_GROUPS).map((part) => part.replaceAll(' ', '\u00a0')).join(BETWEEN_GROUPS);

export class Facts {
  constructor(box) {
    this.table = element('table', { 'aria-label': t('facts of the layer and of the position') });
    const head = element('tr');
    this.position = element('th', { scope: 'col' });
    this.layer = element('th', { scope: 'col' });
    head.append(element('th', { scope: 'col' }, t('facts')), this.layer, this.position);
    this.table.append(element('thead'), element('tbody'));
    this.table.tHead.append(head);
    const how = t('Of the layer: the mean of the dilation, the medians of the affine fit. A row under the pointer says what it is.');
    this.here = {};
    box.append(this.table, element('p', { class: 'dv-quiet' }, how));
  }

  /** @param facts [[name, text, what it means]] of the layer; a position's own rows are always there. */
  draw(scene, facts) {
    const known = new Map(facts.map(([name, ...rest]) => [name, rest]));
    const own = Object.keys(HERE).filter((name) => scene.K > 1 || name === ALONE);
    const names = [...new Set([...own, ...known.keys()])];
    this.layer.textContent = facts.some(([, text]) => text.includes(BETWEEN_GROUPS)) ? t('layer, by group') : t('layer');
    this.here = {};
    this.table.tBodies[0].replaceChildren(...names.map((name) => {
      const [text = '', title = ''] = known.get(name) ?? [];
      const row = element('tr', { title: t(title), 'data-fact': name });
      const cell = element('td');
      this.here[name] = cell.appendChild(document.createTextNode(''));
      row.append(element('th', { scope: 'row' }, t(name)), element('td', {}, unbroken(factText(text))), cell);
      return row;
    }));
  }

  /** Write the numbers of what a position reads, of one offset group. */
  drawPosition(scene, reading, group) {
    const own = (points) => points.subarray(2 * group * scene.K, 2 * (group + 1) * scene.K);
    const fit = affineFit(own(reading.base), own(reading.point));
    const dilation = effectiveDilation(own(reading.point), scene.grid.kernel_size);
    const { y, x } = reading;
    const place = scene.G > 1 ? t('at {y}, {x}, group {group}', { y, x, group }) : t('at {y}, {x}', { y, x });
    if (this.position.textContent !== place) this.position.textContent = place;
    for (const [name, text] of Object.entries(HERE)) if (this.here[name]) write(this.here[name], text({ ...fit, dilation }));
  }
}
