"""axe-core finds nothing to complain about, in any view, light or dark, wide or narrow."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.ui.pictures import choose, show_map

CONTEXTS = [
    {"bypass_csp": True, "color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    for scheme in ("light", "dark")
    for width in (1280, 360)
]
VIEWS = {
    "empty": ([], "#metrics dt >> nth=0"),
    "one": (["original.png"], "#result"),
    "pair": (["original.png", "distorted.jpg"], "#result"),
    "many": (["original.png", "distorted.jpg", "other.webp", "notes.txt"], "#csv:enabled"),
}


@pytest.mark.parametrize("page", CONTEXTS, indirect=True)
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(page: Page, folder: Path, view: str) -> None:
    names, ready = VIEWS[view]
    if names:
        choose(page, folder, *names)
    expect(page.locator(ready)).to_be_visible()
    if view in ("one", "pair"):
        show_map(page)
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
