/* Where a page begins: in a file that stands alone, and in the app. */

import { Asking } from './asking.js';
import { element } from './dom.js';
import { Viewer } from './viewer.js';

export function mount(root) {
  root.viewer ??= new Viewer(root);
  return root.viewer;
}

const LINKS_PATIENCE = 10000; // milliseconds for a link's picture

let mounted; // called once the page's own viewer is there
const asking = new Promise((done) => { mounted = done; });

/** Ask for what the controls say: see `Asking.ask`. */
export async function ask(...question) {
  return (await asking).ask(...question);
}

/**
 * Show the views, or the views of several `layers`, that Gradio hands over in `props.value`.
 *
 * @param base where the app is mounted.
 * @param shares whether the page's address is this viewer's state.
 * @param first the value that the page came with.
 * @param trigger tells Gradio of an event.
 */
export function mountInPage(root, base, props, watch, shares, first, trigger) {
  const early = shares ? takeEarly(root) : null;
  const viewer = mount(early ?? root);
  if (shares) viewer.share = shareInAddress;
  viewer.controls.action('link').hidden = !shares;
  let shown = early?.dataset.value === 'first' ? first : null;
  const show = () => {
    if (!props.value || props.value === shown) return;
    shown = props.value;
    viewer.show(viewOf(shown, base));
  };
  watch('value', show);
  if (early) viewer.tellState(); // before, the address had to stay as Gradio is to read it
  if (shares && props.value === first && linkAsks()) setTimeout(show, LINKS_PATIENCE);
  else show();
  if (shares) mounted(new Asking(viewer, base, viewMounted, (told) => trigger('submit', told)));
}

const viewOf = (text, base) => viewMounted(JSON.parse(text), base);

/** A view with the addresses that it has where the app is mounted. */
export function viewMounted(view, base) {
  for (const each of view.layers ?? new Set([view, view.kept ?? view])) mountAddresses(each, base);
  return view;
}

/** Whether the address has a picture of its own under way: the example would only flash up. */
const linkAsks = () => [...new URLSearchParams(window.location.search).keys()].some((name) => !name.startsWith('__'));

// --- before Gradio -----------------------------------------------------------------------------

const WIDE = 1000; // screen pixels; on narrower screens the controls stand above the viewer

/**
 * Show what the page opens with where Gradio will put it, until it is taken over.
 *
 * @param id of Gradio's component, whose elements are in the page as a template.
 * @param base as in `mountInPage`.
 */
export function mountEarly(id, base) {
  const found = window.gradio_config?.components?.find(({ props }) => props?.elem_id === id);
  if (!found?.props.value || linkAsks() || window.innerWidth <= WIDE) return;
  const place = element('div', { class: 'dv-early' });
  place.classList.toggle('dark', asksForDark());
  place.append(document.getElementById('deformviz-viewer').content.cloneNode(true));
  document.body.append(place);
  const root = place.querySelector('.dv-viewer');
  root.dataset.value = 'first';
  mount(root).show(viewOf(found.props.value, base));
}

/** Gradio's own rule. */
function asksForDark() {
  const theme = new URLSearchParams(window.location.search).get('__theme') ?? 'system';
  return theme === 'system' ? window.matchMedia('(prefers-color-scheme: dark)').matches : theme === 'dark';
}

/** The viewer that is there already, in the place of one that Gradio has made. */
function takeEarly(root) {
  const place = document.querySelector('.dv-early');
  const early = place?.querySelector('.dv-viewer') ?? null;
  if (early) root.replaceWith(early);
  place?.remove();
  return early;
}

function mountAddresses(view, base) {
  const { data, downloads = {}, below = [] } = view;
  for (const each of [data, ...below.map((layer) => layer.data)]) {
    for (const name of ['url', 'checks', 'facts']) if (each[name]) each[name] = base + each[name];
  }
  view.downloads = Object.fromEntries(Object.entries(downloads).map(([text, path]) => [text, base + path]));
}

/** The page's address is the state; what is not the viewer's, such as Gradio's theme, stays in it. */
function shareInAddress(query) {
  const url = new URL(window.location.href);
  if (['lesson', 'train'].some((name) => url.searchParams.has(name))) return; // the address is another tab's
  const others = [...url.searchParams].filter(([name]) => name.startsWith('__'));
  url.search = new URLSearchParams([...others, ...new URLSearchParams(query)]).toString();
  window.history.replaceState(window.history.state, '', url);
}
