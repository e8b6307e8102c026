"""Chromium for tests: playwright's own or one that is installed on the machine."""

import shutil
from contextlib import contextmanager
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")


def missing():
    """Why no browser can be started; empty: one can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed (pip install playwright)"
    return "" if executable() else f"no Chromium: neither playwright's own nor any of {', '.join(NAMES)} on the PATH"


def executable():
    """Path of the browser, or None."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        own = started.chromium.executable_path
    return own if Path(own).exists() else next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium():
    """A browser that is closed at the end."""
    from playwright.sync_api import sync_playwright

    path = executable()
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def chromium_page(**settings):
    """A page of a new browser."""
    with chromium() as browser:
        yield browser.new_page(**settings)
