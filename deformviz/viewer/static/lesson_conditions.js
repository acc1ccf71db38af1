/* Whether a task is done, by the viewer's live state: the kinds of `deformviz.lessons.conditions`.
 * What is typed or chosen in the task itself is told apart, by `answered`. */

const CLOSE = 1e-9; // what sums of decimals may be off

const near = (value, wanted, within) => Math.abs(value - wanted) <= within + CLOSE;

const inRange = (value, [low, high], within) => value >= low - within - CLOSE && value <= high + within + CLOSE;

const WATCHED = {
  position: ({ y, x, within, pinned }, { viewer: { state } }) => (
    (state.pinned || !pinned) && inRange(state.y, y, within) && inRange(state.x, x, within)),
  tap: ({ tap }, { pointedAt }) => pointedAt === tap,
  'tap moved': ({ tap, dy, dx, within }, { viewer }) => at(viewer, tap, (reading) => (
    Math.hypot(reading.point[2 * tap] - reading.base[2 * tap] - dy, reading.point[2 * tap + 1] - reading.base[2 * tap + 1] - dx)), within),
  'tap at': ({ tap, y, x, within }, { viewer }) => at(viewer, tap, (reading) => (
    Math.hypot(reading.point[2 * tap] - y, reading.point[2 * tap + 1] - x)), within),
  term: ({ tap, part, is, within }, { viewer }) => viewer.state.pinned && near(partOf(viewer.a, tap, part), is, within),
  sum: ({ is, within }, { viewer }) => Boolean(viewer.a.terms) && near(viewer.a.terms.total, is, within),
  shows: ({ name, is, within }, { viewer: { state } }) => same(state[name], is, within),
  control: ({ name, is, within }, { controls }) => same(controls[name], is, within),
};

/** Whether a tap is there and not further away than it may be. */
function at({ a: { reading } }, tap, distance, within) {
  return Boolean(reading) && tap < reading.count && distance(reading) <= within + CLOSE;
}

/** A part of a tap's term at the position; NaN where it is not known. */
function partOf({ reading, terms }, tap, part) {
  if (!reading || tap >= reading.count) return NaN;
  const axis = ['dy', 'dx'].indexOf(part);
  if (axis >= 0) return reading.point[2 * tap + axis] - reading.base[2 * tap + axis];
  return terms?.rows.find(({ n }) => n === tap)?.[part] ?? NaN;
}

/** A value against the one wanted; a control's is a text, as in a link. */
function same(value, wanted, within) {
  if (value === undefined || value === null) return false;
  if (typeof wanted === 'number') return near(Number(value), wanted, within);
  if (typeof wanted === 'boolean' && typeof value === 'string') return value === (wanted ? 'on' : 'off');
  return value === wanted;
}

/** Whether a condition is watched for, not answered. */
export const isWatched = ({ kind }) => kind in WATCHED;

/** @param live {viewer, pointedAt, controls}: what the reader sees now. */
export const holds = (condition, live) => WATCHED[condition.kind](condition, live);

/** Whether an answer is the right one: a typed text, or the number of an option. */
export function isRight({ kind, is, within, right }, answer) {
  return kind === 'choice' ? answer === right : near(answer, is, within);
}

/** The number that someone has typed, or NaN. */
export function typedNumber(text) {
  const plain = text.trim().replace(/[−–]/, '-').replace(/[,，]/, '.').replace('＋', '+');
  return plain === '' ? NaN : Number(plain);
}
