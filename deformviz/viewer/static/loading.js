/* Brings a scene's numbers: from the server, or out of the page that they were saved in. */

import { shown } from './dom.js';
import { drawChecks } from './runs.js';
import { readTensors } from './tensors.js';
import { t } from './words.js';

/**
 * @param data {url, size}: where they are; or {element}: the id of an element that holds them.
 * @param progress is told how many bytes have come.
 */
export async function loadTensors(data, progress, signal) {
  if (data.element) return readTensors(await collected(unpacked(data.element), data.size, progress));
  const response = await answer(data.url, { signal, priority: 'low' });
  return readTensors(await collected(response.body, Number(response.headers.get('Content-Length')), progress));
}

/** All bytes of a stream that has so many. */
async function collected(stream, size, progress) {
  const bytes = new Uint8Array(size);
  const reader = stream.getReader();
  let came = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes.set(value, came);
    came += value.length;
    progress(came);
  }
  return bytes.buffer;
}

export async function loadJSON(url) {
  return (await answer(url)).json();
}

async function answer(url, options) {
  const response = await fetch(url, options);
  if (!response.ok) throw new Error(response.status === 404 ? t('the server has let them go') : t('the server said {status}', { status: response.status }));
  return response;
}

/** What a gzip file in the page holds: base64 in elements `id`, `id+1`, … , one at a time. */
function unpacked(id) {
  let next = 0;
  const packed = new ReadableStream({
    async pull(stream) {
      const piece = document.getElementById(next ? `${id}+${next}` : id);
      next += 1;
      if (!piece) { stream.close(); return; }
      const response = await fetch(`data:application/octet-stream;base64,${piece.textContent.trim()}`);
      stream.enqueue(new Uint8Array(await response.arrayBuffer()));
    },
  });
  return packed.pipeThrough(new DecompressionStream('gzip'));
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

/** Brings what follows a viewer's picture, and tells how far it is. */
export class Loader {
  constructor(viewer) {
    this.viewer = viewer;
    this.line = viewer.part('loading');
    this.abort = null;
  }

  /** Fetch a side's numbers, and then sort its points for the look-up from pixel to readers. */
  async load(side) {
    const { viewer } = this;
    const { scene } = side;
    const { data } = scene.view;
    const abort = new AbortController();
    this.abort?.abort();
    if (side === viewer.a) this.abort = abort;
    const tell = (came) => { this.line.textContent = t('offsets: {came} of {size} MB', { came: megabytes(came), size: megabytes(data.size) }); };
    try {
      if (!scene.ready) {
        tell(0);
        await shown(); // megabytes would take the picture's frame from it
        scene.attach(await loadTensors(data, tell, abort.signal));
        viewer.drawAll();
      }
    } catch (error) {
      if (error.name !== 'AbortError') {
        this.line.textContent = t('The numbers could not be loaded: {reason}. Change any control to run again.', { reason: error.message });
      }
      return;
    }
    this.line.textContent = '';
    viewer.root.dataset.ready = data.id;
    if (side === viewer.a) this.loadChecks(scene);
    await inIdleTime(scene.buildIndex(), () => !viewer.sides.includes(side) || side.scene !== scene);
    viewer.root.dataset.indexed = data.id;
  }

  /** The run's checks are made when they are asked for: neither picture nor hover waits for them. */
  async loadChecks(scene) {
    const { checks } = scene.view.data;
    if (!checks) return;
    try {
      scene.checks ??= await loadJSON(checks);
    } catch (error) {
      scene.checks = [{ claim: t('the checks could not be loaded: {reason}', { reason: error.message }), passed: false }];
    }
    if (this.viewer.a.scene === scene) drawChecks(this.viewer.part('checks'), scene.checks);
  }
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
