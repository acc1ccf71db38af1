/* What runs are called: by what differs between them. */

import { knobText } from './train_knobs.js';
import { t } from './words.js';

/** The names of runs [{task, knobs, seed}], by the tasks that there are. */
export function namesOf(runs, tasks) {
  const several = new Set(runs.map(({ task }) => task)).size > 1;
  const names = runs.map((run) => {
    const task = tasks.find(({ name }) => name === run.task);
    const peers = runs.filter((other) => other.task === run.task);
    const parts = differing(task, peers).map(({ name, label }) => `${t(label)} ${knobText(knobOf(run, name))}`);
    if (several || (parts.length === 0 && peers.length === 1)) parts.unshift(t(task.title));
    return parts.join(t(', '));
  });
  return names.map((text, i) => {
    const twins = names.flatMap((other, j) => (other === text ? [j] : []));
    if (twins.length === 1) return text;
    const numbered = t('run {number}', { number: twins.indexOf(i) + 1 });
    return text ? `${text}${t(', ')}${numbered}` : numbered;
  });
}

const knobOf = (run, name) => (name === 'seed' ? run.seed : run.knobs[name]);

/** The knobs of a task that are not the same in all of its runs. */
function differing(task, runs) {
  const all = [...task.knobs, { name: 'seed', label: 'seed' }];
  return all.filter(({ name }) => runs.some((run) => knobOf(run, name) !== knobOf(runs[0], name)));
}
