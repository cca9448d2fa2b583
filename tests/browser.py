"""Headless Chromium: a page as a person has it."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest


# Not for the whole session: while Playwright is there, asyncio.run is refused to other tests.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium that is installed already; the test is skipped where there is none."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[test]'"
    )
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = os.environ.get("FUSIONCLF_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.skip("no Chromium on the path: install one, or set FUSIONCLF_CHROMIUM to it")
    with sync_api.sync_playwright() as playwright:
        # Chromium refuses to sandbox for root, which containers often are.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


class OpenPage:
    """An open page, with its errors and requests."""

    def __init__(self, browser: Any, address: str, **settings: Any) -> None:
        self.page = browser.new_page(**settings)
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.faults.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
