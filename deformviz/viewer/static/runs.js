/* What a run says of itself beside the picture: its names, checks, files, and the five shifts. */

import { element } from './dom.js';
import { stateQuery } from './state.js';
import { t, tEach } from './words.js';

// LANGUAGE: the page's, which a file that is taken along is to have, too; the bundle brings it along.

const OF_LANGUAGE = LANGUAGE === 'en' ? [] : [['language', LANGUAGE]];

const power = (value, digits) => (value === 0 ? '0' : value.toExponential(digits));

export function drawChecks(box, checks) {
  box.replaceChildren(...checks.map((check) => {
    const badge = element('span', { class: `dv-check ${check.passed ? 'dv-passed' : 'dv-failed'}` });
    badge.append(
      element('span', {}, `${check.passed ? '✓' : '✗'} ${t(check.claim)}${t(': ')}`),
      element('b', {}, check.difference === undefined ? '' : power(check.difference, 1)),
    );
    return badge;
  }));
}

function shiftCell(result) {
  const cell = element('td');
  if (result.difference === null) {
    cell.append(element('span', { class: 'dv-quiet' }, t('cannot honour this border')));
    return cell;
  }
  cell.append(
    element('img', { src: result.picture, alt: t(result.alt) }),
    element('span', {}, t('difference {gap}', { gap: power(result.difference, 2) })),
    element('span', { class: 'dv-quiet' }, `${result.milliseconds.toPrecision(2)} ms`),
  );
  return cell;
}

function drawShifts(box, shifts) {
  box.hidden = !shifts;
  box.className = 'dv-shifts';
  if (!shifts) return;
  const table = element('table');
  const [head, body] = [element('thead'), element('tbody')];
  const names = element('tr');
  for (const name of [t('strategy'), t('the published 1 × 8 × 5 × 5 tensor'), t('your image')]) {
    names.append(element('th', { scope: 'col' }, name));
  }
  head.append(names);
  for (const row of shifts.rows) {
    const line = element('tr');
    line.append(element('th', { scope: 'row' }, t(row.strategy)), shiftCell(row.tensor), shiftCell(row.image));
    body.append(line);
  }
  table.append(head, body);
  box.replaceChildren(element('div', { class: 'dv-formula' }, t(shifts.title)), table);
}

/** Files to take along; the one that keeps the hover opens on what is seen now. */
function drawDownloads(viewer, downloads) {
  const menu = viewer.part('exports');
  for (const old of menu.querySelectorAll('a')) old.remove();
  for (const [text, href] of Object.entries(downloads)) {
    const link = menu.appendChild(element('a', { href, download: '' }, t(text)));
    link.addEventListener('click', () => {
      link.href = `${href}?${new URLSearchParams([...stateQuery(viewer.state), ...OF_LANGUAGE])}`;
    });
  }
}

/** Write all that a view says in words. */
export function writeRun(viewer, view) {
  const texts = {
    status: tEach(view.status), notes: [...view.notes, view.rounded].filter(Boolean).map((note) => t(note)).join(' · '), caption: tEach(view.caption), 'output-caption': tEach(view.outputCaption),
  };
  for (const [name, text] of Object.entries(texts)) viewer.part(name).textContent = text;
  viewer.root.classList.toggle('dv-no-output', view.channels.output.length === 0);
  drawChecks(viewer.part('checks'), viewer.a.scene.checks ?? view.checks ?? []);
  drawShifts(viewer.part('more'), view.shifts);
  drawDownloads(viewer, view.downloads ?? {});
}
