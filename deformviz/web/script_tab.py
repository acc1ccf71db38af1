"""Tabs that a script of their own draws: how it is loaded, and how links and history open them."""

from __future__ import annotations

import json
from pathlib import Path

from ..words import spoken

_LOADING = """
const base = new URL(window.gradio_config?.root || '/', window.location.href);
const root = base.pathname.replace(/\\/$/, ''); // a proxy may mount the app below a path
(async () => {
  const tab = element.querySelector(SELECTOR);
  try {
    await window.deformvizScript;
    await new Promise((done, failed) => {
      const script = document.createElement('script');
      script.src = root + PATH;
      script.onload = done;
      script.onerror = () => failed(new Error('cannot load ' + script.src));
      document.head.append(script);
    });
    window.MOUNT(tab, root, LANGUAGE);
  } catch (error) {
    tab.textContent = FAILED.replace('{reason}', error.message);
  }
})();
"""

_TABS = Path(__file__).parent / "static" / "tabs.js"


def loading(selector: str, path: str, mount: str, failed: str) -> str:
    """What the tab runs when it is first opened.

    Args:
        selector: of the element that the script draws in.
        path: where the server has the script.
        mount: the function that it defines, of the element, the app's root and the page's language.
        failed: what is said where it cannot start, with `{reason}`.
    """
    values = {"SELECTOR": selector, "PATH": path, "FAILED": failed, "LANGUAGE": spoken()}
    script = _LOADING.replace("MOUNT", mount)
    for name, value in values.items():
        script = script.replace(name, json.dumps(value))
    return script


def opening() -> str:
    """What the page runs when it is there: from then on the address says which tab is open."""
    return f"() => {{\n{_TABS.read_text(encoding='utf-8')}}}"
