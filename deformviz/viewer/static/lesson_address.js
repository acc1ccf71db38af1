/* A lesson's own link: /?lesson=NAME&step=3, in Chinese /zh?lesson=NAME, with &projector=on. */

const OURS = ['lesson', 'step', 'projector'];

/** {lesson, step, projector}; what the address does not have is null or the first. */
export function readAddress() {
  const query = new URLSearchParams(window.location.search);
  const step = Number(query.get('step'));
  return {
    lesson: query.get('lesson'),
    step: Number.isInteger(step) && step > 0 ? step : 1,
    projector: query.get('projector') === 'on',
  };
}

/**
 * Write where the reader is; null leaves no lesson in the address.
 *
 * @param asNew whether it is a step of the reader's, which the browser's back button undoes.
 */
export function writeAddress(place, asNew = false) {
  const url = new URL(window.location.href);
  const kept = [...url.searchParams].filter(([name]) => (place ? name.startsWith('__') : !OURS.includes(name)));
  const own = place ? { lesson: place.lesson, ...(place.lesson && { step: place.step }), ...(place.projector && { projector: 'on' }) } : {};
  url.search = new URLSearchParams([...kept, ...Object.entries(own)]).toString();
  if (url.href !== window.location.href) window.history[asNew ? 'pushState' : 'replaceState'](window.history.state, '', url);
}
