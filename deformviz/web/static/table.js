/* The table of layers: a click or a key chooses a row, a search hides the others. */

const FEW = 8; // rows that need no search
const rows = () => [...element.querySelectorAll('tr[data-index]')];
const search = () => element.querySelector('input[type=search]');
let sought = '';
let top = 0;

function choose(row) {
  for (const each of rows()) {
    each.setAttribute('aria-selected', each === row);
    each.querySelector('button').setAttribute('aria-pressed', each === row);
  }
  row.querySelector('button').focus({ preventScroll: true }); // the arrow keys go on from here
  trigger('select', { index: Number(row.dataset.index) });
}

function filter() {
  for (const row of rows()) {
    const text = `${row.querySelector('button').dataset.name} ${row.textContent}`.toLowerCase();
    row.hidden = !text.includes(sought.toLowerCase());
  }
}

/** What a person did stays when the rows are written anew. */
function restore() {
  search().hidden = rows().length <= FEW;
  search().value = sought;
  filter();
  element.querySelector('.dv-rows').scrollTop = top;
}

element.addEventListener('click', (event) => {
  const row = event.target.closest('tr[data-index]');
  if (row) choose(row);
});

element.addEventListener('input', (event) => {
  if (event.target !== search()) return;
  sought = event.target.value;
  filter();
});

element.addEventListener('scroll', (event) => { top = event.target.scrollTop; }, true);

element.addEventListener('keydown', (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const row = event.target.closest('tr[data-index]');
  if (!step || !row) return;
  const shown = rows().filter((each) => !each.hidden);
  const next = shown[shown.indexOf(row) + step];
  if (!next) return;
  event.preventDefault();
  choose(next);
});

watch('value', restore);
restore();
