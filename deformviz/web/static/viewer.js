/* The viewer: draws what the server sends, and tells it which position was clicked.
 *
 * A view is an object {figures: {image, output, kernel}, status, notes, checks, terms, shifts},
 * sent as one JSON string. Figures are plotly's; all else is plain data that is written with
 * textContent, so that no name out of a file is ever read as HTML.
 */
(() => {
  'use strict';

  const CONFIG = { responsive: true, displayModeBar: false, scrollZoom: true, doubleClick: 'reset' };
  const CLICK_TRAVEL = 4; // a press that moves further, in screen pixels, is a drag

  const element = (tag, text = '', className = '') => {
    const node = document.createElement(tag);
    if (text !== '') node.textContent = text;
    if (className) node.className = className;
    return node;
  };

  // --- theme -------------------------------------------------------------------------------

  function themed(layout) {
    const style = getComputedStyle(document.body);
    const text = style.getPropertyValue('--body-text-color').trim() || '#222';
    const line = style.getPropertyValue('--border-color-primary').trim() || '#ddd';
    const result = { ...layout, font: { ...layout.font, color: text, family: 'system-ui, sans-serif' } };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      result[name] = { ...layout[name], gridcolor: line, zerolinecolor: line, linecolor: line };
    }
    return result;
  }

  // --- panels ------------------------------------------------------------------------------

  function drawChecks(box, checks) {
    box.replaceChildren(...checks.map((check) => {
      const badge = element('span', '', `dv-check ${check.passed ? 'dv-passed' : 'dv-failed'}`);
      const mark = check.passed ? '✓' : '✗';
      badge.append(
        element('span', `${mark} ${check.claim}: `),
        element('b', check.difference === 0 ? '0' : check.difference.toExponential(1)),
      );
      return badge;
    }));
  }

  const number = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : '–').replace('-', '−');
  const signed = (value, digits) => (value < 0 ? '' : '+') + number(value, digits);

  function termRow(term) {
    const row = element('tr');
    const tap = element('td', term.label);
    const dot = element('i', '', 'dv-dot');
    dot.style.background = term.color;
    tap.prepend(dot);
    const [dy, dx] = term.offset;
    const cells = [
      `${number(term.base[0], 0)}, ${number(term.base[1], 0)}`,
      `${signed(dy, 2)}, ${signed(dx, 2)}`,
      `${number(term.point[0], 2)}, ${number(term.point[1], 2)}`,
      term.neighbours.map((n) => `${number(n.weight, 2)}`).join('  '),
      number(term.value, 4), number(term.mask, 3), number(term.weight, 4), number(term.product, 4),
    ];
    row.append(tap, ...cells.map((text) => element('td', text)));
    row.children[4].title = term.neighbours
      .map((n) => `(${n.y}, ${n.x}) weighs ${number(n.weight, 4)}`).join('\n');
    return row;
  }

  function drawTerms(box, terms) {
    if (!terms) return box.replaceChildren();
    const line = element('div', '', 'dv-formula');
    line.append(
      element('span', `${terms.symbol} = Σ w · m · x(p₀ + pₖ + Δpₖ)${terms.bias ? ' + b' : ''} = `),
      element('b', number(terms.total, 6)),
      element('span', terms.passed ? '✓' : '✗', terms.passed ? 'dv-passed' : 'dv-failed'),
      element('span', `the operator gave ${number(terms.output, 6)}, difference ${terms.difference.toExponential(1)}`, 'dv-quiet'),
    );
    if (terms.omitted) line.append(element('span', `${terms.omitted} terms of weight 0 are left out`, 'dv-quiet'));
    const table = element('table');
    const head = element('tr');
    for (const name of ['tap', 'position y, x', 'Δ (dy, dx)', 'point y, x', '4 neighbours', 'x', 'm', 'w', 'product']) {
      head.append(element('th', name));
    }
    const body = element('tbody');
    body.append(...terms.rows.map(termRow));
    const thead = element('thead');
    thead.append(head);
    table.append(thead, body);
    const scroll = element('div', '', 'dv-scroll');
    scroll.tabIndex = 0;
    scroll.setAttribute('role', 'region');
    scroll.setAttribute('aria-label', 'the terms of the sum');
    scroll.append(table);
    box.replaceChildren(line, scroll);
  }

  function shiftCell(result) {
    const cell = element('td');
    if (result.difference === null) {
      cell.append(element('span', 'cannot honour this border', 'dv-quiet'));
      return cell;
    }
    const picture = element('img');
    picture.src = result.picture;
    picture.alt = result.alt;
    cell.append(
      picture,
      element('span', `difference ${result.difference === 0 ? '0' : result.difference.toExponential(2)}`),
      element('span', `${result.milliseconds.toPrecision(2)} ms`, 'dv-quiet'),
    );
    return cell;
  }

  function drawShifts(box, shifts) {
    box.hidden = !shifts;
    if (!shifts) return;
    const table = element('table');
    const head = element('tr');
    for (const name of ['strategy', 'the published 1 × 8 × 5 × 5 tensor', 'your image']) head.append(element('th', name));
    const thead = element('thead');
    thead.append(head);
    const body = element('tbody');
    for (const row of shifts.rows) {
      const line = element('tr');
      line.append(element('td', row.strategy), shiftCell(row.tensor), shiftCell(row.image));
      body.append(line);
    }
    table.append(thead, body);
    box.replaceChildren(element('div', shifts.title, 'dv-formula'), table);
  }

  // --- clicks ------------------------------------------------------------------------------

  function onClick(div, tell) {
    div.addEventListener('pointerdown', (down) => {
      // plotly lays a cover over the page while the button is down, so the release is the window's.
      window.addEventListener('pointerup', (up) => {
        if (Math.hypot(up.clientX - down.clientX, up.clientY - down.clientY) > CLICK_TRAVEL) return;
        const { xaxis, yaxis } = div._fullLayout;
        const frame = div.getBoundingClientRect();
        const x = xaxis.p2d(up.clientX - frame.left - xaxis._offset);
        const y = yaxis.p2d(up.clientY - frame.top - yaxis._offset);
        const inside = (value, { range }) => value >= Math.min(...range) && value <= Math.max(...range);
        if (inside(x, xaxis) && inside(y, yaxis)) tell(y, x);
      }, { once: true, capture: true });
    }, true);
  }

  // --- the component -----------------------------------------------------------------------

  function mount(root, props, trigger, watch) {
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    const plots = {};
    for (const div of root.querySelectorAll('[data-figure]')) plots[div.dataset.figure] = div;
    let drawing = Promise.resolve();
    let drawn = null;

    async function drawFigures(figures) {
      for (const [name, figure] of Object.entries(figures)) {
        const div = plots[name];
        const fresh = !div._fullLayout;
        await Plotly.react(div, figure.data, themed(figure.layout), CONFIG);
        if (fresh && name !== 'kernel') {
          onClick(div, (y, x) => trigger('pin', { figure: name, y, x }));
        }
      }
    }

    async function draw() {
      const value = props.value;
      if (!value || value === drawn) return;
      drawn = value;
      const view = JSON.parse(value);
      part('status').textContent = view.status;
      part('notes').textContent = view.notes.join(' · ');
      part('caption').textContent = view.caption;
      part('output-caption').textContent = view.outputCaption;
      drawChecks(part('checks'), view.checks);
      drawTerms(part('terms'), view.terms);
      drawShifts(part('shifts'), view.shifts);
      await drawFigures(view.figures);
      root.dataset.view = view.id;
      root.classList.remove('dv-waiting');
    }

    // One drawing after the other; those that were overtaken while they waited are skipped.
    const enqueue = () => { drawing = drawing.then(draw, draw); };
    watch('value', enqueue);
    enqueue();

    new MutationObserver(() => {
      for (const div of Object.values(plots)) if (div.layout) Plotly.relayout(div, themed(div.layout));
    }).observe(document.body, { attributes: true, attributeFilter: ['class'] });
    const resized = new ResizeObserver((entries) => {
      for (const { target } of entries) if (target._fullLayout && target.clientWidth) Plotly.Plots.resize(target);
    });
    for (const div of Object.values(plots)) resized.observe(div);
  }

  window.deformviz = { mount };
})();
