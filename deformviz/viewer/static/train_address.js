/* The Train tab's own link: /?train=scale&train_kernel=5, with what is not as by default. */

const TRAIN = 'train';
const KNOB = 'train_';

/** {task, knobs} of the address, as texts; task is null where it asks for nothing. */
export function readTraining() {
  const query = new URLSearchParams(window.location.search);
  const knobs = [...query].filter(([name]) => name.startsWith(KNOB));
  return { task: query.get(TRAIN), knobs: Object.fromEntries(knobs.map(([name, text]) => [name.slice(KNOB.length), text])) };
}

/** Write what is chosen; null leaves no training in the address. */
export function writeTraining(chosen) {
  const url = new URL(window.location.href);
  const ours = (name) => name === TRAIN || name.startsWith(KNOB);
  const kept = [...url.searchParams].filter(([name]) => (chosen ? name.startsWith('__') : !ours(name)));
  const own = chosen ? [[TRAIN, chosen.task], ...Object.entries(chosen.knobs).map(([name, value]) => [KNOB + name, String(value)])] : [];
  url.search = new URLSearchParams([...kept, ...own]).toString();
  if (url.href !== window.location.href) window.history.replaceState(window.history.state, '', url);
}
