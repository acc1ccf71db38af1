/* Tabs and the browser's history: a link opens its tab, and back and forward lead to the tab that
 * was seen. A click on a tab is an entry of its own; its address is the tab's own affair. */

const BY_ADDRESS = { lesson: 'lessons-tab-button', train: 'train-tab-button' };
const BUTTON = '[role="tab"], .overflow-dropdown button';

const selected = () => document.querySelector('[role="tab"][aria-selected="true"]')?.id;
const note = () => window.history.replaceState({ ...window.history.state, tab: selected() }, '');

/** The tab that the address asks for, or else another one. */
function asked(other) {
  const query = new URLSearchParams(window.location.search);
  const name = Object.keys(BY_ADDRESS).find((each) => query.has(each));
  return name ? BY_ADDRESS[name] : other;
}

function show(id) {
  if (id && id !== selected()) document.getElementById(id)?.click();
}

document.addEventListener('click', (event) => {
  const button = event.target.closest?.(BUTTON);
  // A click of `show` is none of a person's: it goes where the history is already.
  if (!button || !event.isTrusted || button.id === selected()) return;
  note();
  window.history.pushState(window.history.state, '');
  setTimeout(note); // once Gradio has turned to it
}, true);
window.addEventListener('popstate', ({ state }) => show(asked(state?.tab ?? 'explore-tab-button')));
show(asked());
