/* What the viewer's buttons do. */

import { pictureSVG, save, toPNG } from './picture.js';
import { t } from './words.js';

const ACTIONS = {
  morph: (viewer) => viewer.play.morph(),
  sweep: (viewer) => viewer.play.sweep(!viewer.play.sweeping),
  pin: (viewer) => (viewer.state.pinned ? viewer.free() : viewer.pin(viewer.state.y, viewer.state.x)),
  unmove: (viewer) => { viewer.unmove(); viewer.drawPosition(); },
  compare: ({ a, b, comparison }) => (b?.scene ? comparison.drop() : comparison.keep(a.scene.view)),
  svg: (viewer) => save(new Blob([pictureSVG(viewer)], { type: 'image/svg+xml' }), 'deformviz.svg'),
  png: async (viewer) => save(await toPNG(pictureSVG(viewer)), 'deformviz.png'),
  link: (viewer) => copyLink(viewer),
};

export async function act(viewer, name) {
  if (viewer.a.scene) await ACTIONS[name](viewer);
}

async function copyLink(viewer) {
  viewer.share(viewer.query());
  const button = viewer.controls.action('link');
  try {
    await navigator.clipboard.writeText(window.location.href);
    button.textContent = t('copied');
  } catch {
    button.textContent = t('copy it from the address bar');
  }
  setTimeout(() => { button.textContent = t('copy link'); }, 2000);
}
