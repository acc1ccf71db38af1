/* The list of lessons. */

import { element } from './dom.js';

/** A text with its numbers: {n} and {m}. */
export const worded = (text, n, m) => text.replace('{n}', n).replace('{m}', m);

/**
 * @param lessons {words, lessons, marks, unknown}; `open` is told which one to open.
 */
export function listNodes({ words, contents, marks, unknown }, open, forget) {
  const nodes = [element('h2', {}, words.list)];
  if (unknown) nodes.push(element('p', { role: 'alert' }, worded(words.unknown, unknown)));
  nodes.push(element('p', { class: 'dv-quiet' }, words.about));
  const list = element('ol', { class: 'dv-lesson-cards' });
  list.append(...contents.map((lesson) => cardNode(lesson, words, marks.progress(lesson), open)));
  const button = element('button', { type: 'button', class: 'dv-forget' }, words.forget);
  button.hidden = !contents.some((lesson) => marks.of(lesson).seen > 0);
  button.addEventListener('click', forget);
  nodes.push(list, button);
  return nodes;
}

function cardNode(lesson, words, { done, of, whole }, open) {
  const card = element('li');
  const link = element('a', { href: `?lesson=${encodeURIComponent(lesson.name)}`, 'data-name': lesson.name });
  link.addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own
    event.preventDefault();
    open(lesson.name);
  });
  const state = whole ? `✓ ${words.learned}` : done > 0 ? worded(words.progress, done, of) : '';
  link.append(element('b', {}, lesson.title), element('span', { class: 'dv-learn' }, lesson.learn));
  const line = element('span', { class: 'dv-quiet' }, worded(words.minutes, lesson.minutes));
  link.append(line, element('span', { class: whole ? 'dv-passed dv-state' : 'dv-quiet dv-state' }, state));
  card.append(link);
  return card;
}
