/* Brings a scene's numbers: from the server, or out of the page that they were saved in. */

import { readTensors } from './tensors.js';

/**
 * @param data {url, size}: where they are; or {element}: the id of an element that holds them.
 * @param progress is told how many bytes have come.
 */
export async function loadTensors(data, progress, signal) {
  if (data.element) return readTensors(await unpack(document.getElementById(data.element).textContent));
  const response = await fetch(data.url, { signal });
  if (!response.ok) throw new Error(response.status === 404 ? 'the server has let them go' : `the server said ${response.status}`);
  const bytes = new Uint8Array(Number(response.headers.get('Content-Length')));
  const reader = response.body.getReader();
  let came = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes.set(value, came);
    came += value.length;
    progress(came);
  }
  return readTensors(bytes.buffer);
}

/** Base64 of a gzip file. */
async function unpack(text) {
  const response = await fetch(`data:application/octet-stream;base64,${text.trim()}`);
  const plain = response.body.pipeThrough(new DecompressionStream('gzip'));
  return new Response(plain).arrayBuffer();
}

/** Walk a generator to its end without ever holding the page up; `stopped` ends it early. */
export async function inIdleTime(steps, stopped) {
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(() => work({ timeRemaining: () => 4 }), 8));
  for (;;) {
    const more = await new Promise((done) => {
      idle((deadline) => {
        do {
          if (stopped()) return done(false);
          if (steps.next().done) return done(false);
        } while (deadline.timeRemaining() > 3);
        return done(true);
      });
    });
    if (!more) return;
  }
}
