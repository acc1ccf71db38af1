/* Where a page begins: `deformviz.mount(element)` gives a viewer to show views with. */

import { Viewer } from './viewer.js';

/** @param share is told the link's query, whenever the state has changed. */
export function mount(root, share) {
  root.viewer ??= new Viewer(root, share);
  return root.viewer;
}
