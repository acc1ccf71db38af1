/* Questions to the server, and what it says of a run in words. */

import { t } from './words.js';

/** JSON of an address; with a body, it is sent. The server's own words are the error's. */
export async function askServer(url, body) {
  const sent = body && { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(url, sent);
  const told = await response.json().catch(() => ({}));
  if (response.ok) return told;
  const error = new Error(told.problem ?? t('the server said {status}', { status: response.status }));
  error.gone = response.status === 404;
  throw error;
}

/** Where a run is, in a few words. */
export function stateWords(run) {
  const last = run.moments.at(-1);
  switch (run.state) {
    case 'waiting': return t('waits for its turn: place {place}', { place: run.place });
    case 'running': return last ? runningWords(run, last) : t('is being started');
    case 'stopping': return t('is being stopped');
    case 'failed': return t(run.problem);
    case 'stopped': return last ? t('stopped at step {step} of {steps}', { step: last.step, steps: last.steps }) : t('stopped before it began');
    default: return t(run.recorded ? 'recorded: {steps} steps' : '{steps} steps in {time}', { steps: last.step, time: duration(last.seconds) });
  }
}

function runningWords(run, last) {
  const { step, steps, remaining } = last;
  const passed = (performance.now() - (run.arrived ?? performance.now())) / 1000;
  if (remaining === null) return t('step {step} of {steps}', { step, steps });
  return t('step {step} of {steps}, {time} to go', { step, steps, time: duration(Math.max(remaining - passed, 0)) });
}

/** Seconds as a person reads them. */
function duration(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? t('{seconds} s', { seconds: whole }) : t('{minutes} min {seconds} s', { minutes: Math.floor(whole / 60), seconds: whole % 60 });
}
