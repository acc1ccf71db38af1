/* Where a page begins: in a file that stands alone, and in the app. */

import { Viewer } from './viewer.js';

/** @param share is told the link's query, whenever the state has changed. */
export function mount(root, share) {
  root.viewer ??= new Viewer(root, share);
  return root.viewer;
}

const PATIENCE = 10000; // milliseconds for a link's picture

/**
 * Show the views that Gradio hands over in `props.value`.
 *
 * @param base where the app is mounted.
 * @param shares whether the page's address is this viewer's state.
 * @param first the value that the page came with.
 */
export function mountInPage(root, base, props, watch, shares, first) {
  const viewer = mount(root, shares ? shareInAddress : undefined);
  viewer.controls.action('link').hidden = !shares;
  let shown = null;
  const show = () => {
    if (!props.value || props.value === shown) return;
    shown = props.value;
    const view = JSON.parse(shown);
    for (const each of new Set([view, view.kept ?? view])) mountAddresses(each, base);
    viewer.show(view);
  };
  watch('value', show);
  // An address with a query has a picture of its own under way: the example would only flash up.
  const asks = shares && props.value === first && new URLSearchParams(window.location.search).has('operator');
  if (asks) setTimeout(show, PATIENCE);
  else show();
}

function mountAddresses(view, base) {
  const { data, downloads } = view;
  for (const name of ['url', 'checks']) if (data[name]) data[name] = base + data[name];
  view.downloads = Object.fromEntries(Object.entries(downloads).map(([text, path]) => [text, base + path]));
}

/** The page's address is the state; what is not the viewer's, such as Gradio's theme, stays in it. */
function shareInAddress(query) {
  const url = new URL(window.location.href);
  const others = [...url.searchParams].filter(([name]) => name.startsWith('__'));
  url.search = new URLSearchParams([...others, ...new URLSearchParams(query)]).toString();
  window.history.replaceState(window.history.state, '', url);
}
