/* Why a position reads as it does, in words. */

import { brief, number } from './dom.js';
import { t } from './words.js';

/** By operator: which region and its score, which coordinates, which channel group. */
export function why(scene, reading, terms) {
  const parts = [];
  if (terms.region !== null) parts.push(whyRegion(scene, reading, terms.region));
  const coordinates = ['x', 'y', 'radius'].filter((name) => scene.grid.channel_names.includes(name));
  if (coordinates.length) parts.push(whyCoordinates(scene, reading, coordinates));
  if (scene.K === 1 && scene.G > 1) parts.push(whyGroup(scene, terms));
  return parts.join(' · ');
}

function whyRegion(scene, { y, x }, region) {
  const { guide } = scene.tensors;
  if (!guide) return t('region {region}: its own kernel', { region });
  const scores = Array.from({ length: guide.shape[0] }, (_, i) => `${i}: ${number(guide.at(i, y, x), 3)}`);
  return t('region {region}, as its guide score is the largest of {scores}', { region, scores: scores.join(', ') });
}

function whyCoordinates(scene, reading, names) {
  const [y, x] = reading.centre.map(Math.round);
  const inside = y >= 0 && y < scene.H && x >= 0 && x < scene.W;
  if (!inside) return t('outside the map, where coordinates are 0');
  const values = names.map((name) => {
    const channel = scene.grid.channel_names.indexOf(name);
    return `${t(name)} = ${number(scene.tensors.input.at(channel, y, x), 3)}`;
  });
  return t("coordinates at the kernel's centre: {values}", { values: values.join(', ') });
}

function whyGroup(scene, terms) {
  const perGroup = scene.C / scene.G;
  const groups = [...new Set(terms.rows.map((row) => row.g))];
  if (groups.length > 1) return t('{channels} channels in {groups} groups, each with a shift of its own', { channels: scene.C, groups: scene.G });
  const [g] = groups;
  const range = perGroup === 1 ? t('channel {channel}', { channel: g })
    : t('channels {first} to {last}', { first: g * perGroup, last: (g + 1) * perGroup - 1 });
  return t('channel group {group} of {groups}: {range} move together', { group: g, groups: scene.G, range });
}

/** What is left out of the rows, and what the chosen input channel adds. */
export function part(scene, terms, input) {
  const left = scene.G * scene.K - terms.rows.length;
  const zero = left ? t(left === 1 ? '; {count} term of weight 0 left out' : '; {count} terms of weight 0 left out', { count: left }) : '';
  if (input === null) return zero;
  const sum = terms.rows.reduce((all, row) => all + row.product, 0);
  return t('; of it, {channel} gives {sum}', { channel: t(scene.view.channels.input[input]), sum: brief(sum) }) + zero;
}
