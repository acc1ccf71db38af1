/* Words of Gradio's that are English in every language: told in the page's own, as they come. */

const SHOWN = '.toast-title, .toast-message-text, [data-testid="status-tracker"]';
const { t } = window.deformviz;

function tellText(node) {
  const text = node.data.trim();
  const told = text && node.parentElement?.closest(SHOWN) ? t(text) : text;
  if (told !== text) node.data = node.data.replace(text, () => told);
}

function tellLabel(node) {
  const label = node.getAttribute('aria-label');
  const told = label ? t(label) : label;
  if (told !== label) node.setAttribute('aria-label', told);
}

function tellAll(root) {
  if (root.nodeType === Node.TEXT_NODE) tellText(root);
  if (root.nodeType !== Node.ELEMENT_NODE) return;
  for (const node of [root, ...root.querySelectorAll('[aria-label]')]) tellLabel(node);
  for (const box of [...(root.matches(SHOWN) ? [root] : []), ...root.querySelectorAll(SHOWN)]) {
    const walk = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) tellText(walk.currentNode);
  }
  if (root.parentElement?.closest(SHOWN)) for (const node of root.childNodes) tellAll(node);
}

new MutationObserver((changes) => {
  for (const { target, addedNodes, type } of changes) {
    if (target.closest?.('.dv-viewer')) continue; // it speaks for itself, and changes at each hover
    if (type === 'attributes') tellLabel(target);
    for (const node of addedNodes) tellAll(node);
  }
}).observe(document.documentElement, { subtree: true, childList: true, attributeFilter: ['aria-label'] });
tellAll(document.documentElement);
