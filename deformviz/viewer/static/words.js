/* What the viewer says, in the language of its page; `deformviz.words` has the rules, and does the
 * same in Python. */

// CATALOGUE: English to the page's words, empty in English; PATTERNS: those of its texts that stand
// for many sentences, the longest first; the bundle brings both along.

const PLACEHOLDER = /\{(\w+)\}/;
const BETWEEN_SENTENCES = /(?<=\.) (?=[A-Z])/;

/**
 * A text in the page's language.
 *
 * @param text in English, with {placeholders}; or a whole sentence that the server has made.
 * @param values what stands in the placeholders' places, told already where it is to be told.
 */
export function t(text, values = {}) {
  return filled(told(text) ?? text, values);
}

/** The same for each of several things with commas between them. */
export const tEach = (text) => text.split(', ').map((part) => t(part)).join(t(', '));

const filled = (text, values) => text.replaceAll(new RegExp(PLACEHOLDER, 'g'), (found, name) => values[name] ?? found);

/** By a line of its own, by the pattern that says the most of it, or sentence by sentence. */
function told(text) {
  if (Object.hasOwn(CATALOGUE, text)) return CATALOGUE[text];
  for (const template of TEMPLATES) {
    const found = matched(template, text);
    if (found) return filled(CATALOGUE[template.text], found);
  }
  const sentences = TEMPLATES.length ? text.split(BETWEEN_SENTENCES) : [text];
  return sentences.length === 1 ? null : sentences.map((sentence) => told(sentence) ?? `${sentence} `).join('');
}

const TEMPLATES = PATTERNS.map((text) => {
  const parts = text.split(PLACEHOLDER);
  return { text, literals: parts.filter((_, i) => i % 2 === 0), names: parts.filter((_, i) => i % 2 === 1) };
});

/** What a text has in the places of a template's placeholders, as little as they can take. */
function matched({ literals, names }, text) {
  const last = literals.at(-1);
  if (!text.startsWith(literals[0]) || !text.endsWith(last)) return null;
  const values = {};
  let start = literals[0].length;
  for (const [i, name] of names.entries()) {
    const isLast = i === names.length - 1;
    const end = isLast ? text.length - last.length : text.indexOf(literals[i + 1], start + 1);
    if (end <= start) return null;
    values[name] = valueOf(name, text.slice(start, end));
    start = end + literals[i + 1].length;
  }
  return values;
}

/** A placeholder in capitals is told; a sentence within another begins with a small letter. */
function valueOf(name, value) {
  if (name !== name.toUpperCase()) return value;
  return told(value) ?? told(value[0].toUpperCase() + value.slice(1)) ?? tEach(value);
}
