/* The Explore page's controls that a step has beside its picture. */

import { element } from './dom.js';

const PAUSE = 150; // milliseconds that a slider is let go on moving

/**
 * @param controls as the server describes them; `change` is told a name and a link's value.
 */
export function controlNodes(controls, change) {
  return controls.map((control) => {
    const label = element('label', {}, `${control.label} `);
    const node = control.options ? choiceOf(control) : sliderOf(control);
    node.dataset.explore = control.name;
    const value = element('output', {}, control.options ? '' : control.value);
    let later = null;
    node.addEventListener('input', () => {
      if (!control.options) value.textContent = node.value;
      clearTimeout(later);
      later = setTimeout(() => change(control.name, node.value), control.options ? 0 : PAUSE);
    });
    label.append(node, value);
    return label;
  });
}

function choiceOf({ options, value }) {
  const node = element('select');
  node.append(...options.map(([each, text]) => element('option', { value: each }, text)));
  node.value = value;
  return node;
}

function sliderOf({ min, max, step, value }) {
  const node = element('input', { type: 'range', min, max, step });
  node.value = value;
  return node;
}
