/* A lesson's text as elements. Texts come as plain parts, and go into the page as characters. */

import { element } from './dom.js';

/**
 * @param blocks as `deformviz.lessons.markup` gives them.
 * @param lights makes the words that light up a part of the page.
 */
export function textNodes(blocks, lights) {
  const nodes = [];
  for (const { item, parts } of blocks) {
    const node = element(item ? 'li' : 'p');
    node.append(...parts.map((part) => partNode(part, lights)));
    if (!item) nodes.push(node);
    else if (nodes.at(-1)?.tagName === 'UL') nodes.at(-1).append(node);
    else {
      const list = element('ul');
      list.append(node);
      nodes.push(list);
    }
  }
  return nodes;
}

/** The text alone. */
export const plainText = (blocks) => blocks.map(({ parts }) => parts.map(({ text }) => text).join('')).join(' ');

function partNode({ text, bold, code, light }, lights) {
  let node = document.createTextNode(text);
  if (code) node = element('code', {}, text);
  if (light) node = lights.words(text, ...light);
  if (!bold) return node;
  const strong = element('strong');
  strong.append(node);
  return strong;
}
