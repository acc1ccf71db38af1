"""The Chromium that the browser tests drive: found, or installed.

`python tests/browser/chromium.py` makes sure that there is one that starts, which `make test` does
before it runs the tests.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import Any

from playwright.sync_api import Browser, BrowserType, Error, Playwright, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
_ARGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_HINT = (
    "No Chromium to run the browser tests with. Install one (Debian, Ubuntu: apt install chromium; "
    "Fedora: dnf install chromium; macOS: brew install --cask google-chrome), or name its "
    "executable in DEFORMVIZ_CHROMIUM."
)


def find(playwrights: BrowserType | None = None) -> str | None:
    """The executable to drive, or None: DEFORMVIZ_CHROMIUM, Playwright's own, the system's.

    Args:
        playwrights: `chromium` of the Playwright that is running, or `browser_type` of its
            browser, where one is: a second cannot start beside it.

    Raises:
        FileNotFoundError: DEFORMVIZ_CHROMIUM names nothing that can be run.
    """
    if asked := os.environ.get("DEFORMVIZ_CHROMIUM"):
        if found := shutil.which(asked):
            return found
        raise FileNotFoundError(f"DEFORMVIZ_CHROMIUM is {asked!r}, which is no executable file")
    if playwrights is None:
        with sync_playwright() as started:
            own = started.chromium.executable_path
    else:
        own = playwrights.executable_path
    candidates = (shutil.which(name) for name in (own, *_NAMES, _MAC))
    return next((path for path in candidates if path), None)


def launch(playwright: Playwright, **options: Any) -> Browser:
    """Start what `find` finds; `options` are those of Playwright's `launch`."""
    executable = find(playwright.chromium)
    if executable is None:
        raise FileNotFoundError(_HINT)
    # Chromium's sandbox refuses to start for root.
    root = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    args = [*_ARGS, *root, *options.pop("args", [])]
    return playwright.chromium.launch(executable_path=executable, args=args, **options)


def ensure() -> bool:
    """Whether there is a Chromium that starts, after installing one where there was none."""
    return _starts() or (_download() and _starts()) or (_apt_install() and _starts())


def _starts() -> bool:
    """Whether the Chromium found can show a page; a downloaded one may lack its libraries."""
    with sync_playwright() as playwright:
        executable = find(playwright.chromium)
        if executable is None:
            _say("found none")
            return False
        try:
            browser = launch(playwright)
            page = browser.new_page()
            page.goto("data:text/html,<title>started</title>")
            started = page.title() == "started"
            version = browser.version
            browser.close()
        except Error as error:
            _say(f"{executable} does not start: {error.message.splitlines()[0]}")
            return False
    _say(f"{executable}, version {version}")
    return started


def _download() -> bool:
    return _run(sys.executable, "-m", "playwright", "install", "chromium", seconds=300)


def _apt_install() -> bool:
    if not shutil.which("apt-get"):
        return False
    root: tuple[str, ...] = ()
    if os.geteuid() != 0:
        root = ("sudo", "-n")
        if not shutil.which("sudo") or not _run(*root, "true", seconds=10):
            return False
    apt = (*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq")
    _run(*apt, "update", seconds=300)  # one broken source need not stop the others
    return _run(*apt, "install", "-y", "chromium", seconds=600)


def _run(*command: str, seconds: float) -> bool:
    """Run a command, and end it with all that it started where it takes too long."""
    _say(" ".join(command))
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except BaseException as error:
        _end(process)
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        _say(f"  given up after {seconds:g} s")
        return False
    if process.returncode:
        _say(f"  failed with exit code {process.returncode}")
        # Playwright says the same once for each mirror, apt once for each source.
        errors = [line for line in output.splitlines() if line.startswith(("Error", "E:"))]
        for line in list(dict.fromkeys(errors))[:3]:
            _say(f"  {line}")
    return process.returncode == 0


def _end(process: subprocess.Popen[str]) -> None:
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _say(line: str) -> None:
    print(f"chromium: {line}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(None if ensure() else _HINT)
    except FileNotFoundError as error:
        sys.exit(str(error))
