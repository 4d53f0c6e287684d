"""A headless Chromium, and pages of the running service in it that must stay free of complaints."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage.data
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import RunningService

# The first one draws no windows around the pages, which takes four times as long as the pages.
PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")


@pytest.fixture(scope="package")  # its event loop must have ended before asynchronous tests run
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("the tests of the page need Chromium (see CONTRIBUTING.md)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(
    browser: Browser, service: RunningService, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """The page, opened; options of its context come by indirect parametrisation."""
    context = browser.new_context(**getattr(request, "param", {}))
    page = context.new_page()
    complaints: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: requested.append(sent.url))
    page.goto(f"{service.url}/ui/")
    yield page
    context.close()
    # Chromium itself logs answers with an error status; what they say is on the page.
    assert [text for text in complaints if "Failed to load resource" not in text] == []
    own = (f"{service.url}/", f"blob:{service.url}/")
    assert [url for url in requested if not url.startswith(own)] == []


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the tests choose."""
    path = tmp_path_factory.mktemp("pictures")
    original = Image.fromarray(skimage.data.astronaut()).crop((0, 0, 400, 300))
    original.save(path / "original.png")
    original.save(path / "distorted.jpg", quality=8)
    Image.fromarray(skimage.data.coffee()).save(path / "other.webp")
    original.resize((60, 40)).save(path / "small.png")
    (path / "broken.jpg").write_bytes((path / "distorted.jpg").read_bytes()[:300])
    (path / "notes.txt").write_text("not a picture")
    return path
