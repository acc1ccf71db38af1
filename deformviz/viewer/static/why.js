/* Why a position reads as it does, in words. */

import { brief, number } from './dom.js';

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
  if (!guide) return `region ${region}: its own kernel`;
  const scores = Array.from({ length: guide.shape[0] }, (_, i) => `${i}: ${number(guide.at(i, y, x), 3)}`);
  return `region ${region}, as its guide score is the largest of ${scores.join(', ')}`;
}

function whyCoordinates(scene, reading, names) {
  const [y, x] = reading.centre.map(Math.round);
  const inside = y >= 0 && y < scene.H && x >= 0 && x < scene.W;
  if (!inside) return 'outside the map, where coordinates are 0';
  const values = names.map((name) => {
    const channel = scene.grid.channel_names.indexOf(name);
    return `${name} = ${number(scene.tensors.input.at(channel, y, x), 3)}`;
  });
  return `coordinates at the kernel's centre: ${values.join(', ')}`;
}

function whyGroup(scene, terms) {
  const perGroup = scene.C / scene.G;
  const groups = [...new Set(terms.rows.map((row) => row.g))];
  if (groups.length > 1) return `${scene.C} channels in ${scene.G} groups, each with a shift of its own`;
  const [g] = groups;
  const range = perGroup === 1 ? `channel ${g}` : `channels ${g * perGroup} to ${(g + 1) * perGroup - 1}`;
  return `channel group ${g} of ${scene.G}: ${range} move together`;
}

/** What is left out of the rows, and what the chosen input channel adds. */
export function part(scene, terms, input) {
  const left = scene.G * scene.K - terms.rows.length;
  const zero = left ? `; ${left} ${left === 1 ? 'term' : 'terms'} of weight 0 left out` : '';
  if (input === null) return zero;
  const sum = terms.rows.reduce((all, row) => all + row.product, 0);
  return `; of it, ${scene.view.channels.input[input]} gives ${brief(sum)}${zero}`;
}
