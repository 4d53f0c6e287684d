"""The page in a real browser against the real service: what people choose, see and operate."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

import iqa
from tests.conftest import RunningService, launch, stop, wait_until_ready

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
DARK = {"color_scheme": "dark"}


def choose(page: Page, folder: Path, *names: str) -> None:
    page.locator("#files").set_input_files([folder / name for name in names])


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def brisque_of(path: Path) -> float:
    return float(iqa.brisque.score([pixels(path)]).values[0])


def brightness(colour: Locator, attribute: str) -> float:
    """Mean of the element's computed colour, 0 to 255."""
    text = colour.evaluate(f"element => getComputedStyle(element).{attribute}")
    return float(np.mean([int(part) for part in text[4:-1].split(",")]))


def test_the_documentation_leads_to_a_page_that_may_load_nothing_foreign(
    service: RunningService,
) -> None:
    document = httpx.get(f"{service.url}/openapi.json").json()
    assert "(/ui/)" in document["info"]["description"]
    answer = httpx.get(f"{service.url}/ui", follow_redirects=True)
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("img-src") == "'self' blob:"
    assert set(policy.values()) == {"'self'", "'none'"}


def test_one_picture_gets_its_score_in_words_and_its_facts(page: Page, folder: Path) -> None:
    choose(page, folder, "original.png")
    score = brisque_of(folder / "original.png")
    expect(page.locator("#score")).to_have_text(f"{score:.2f}")
    expect(page.locator("#words")).to_contain_text("Excellent")
    expect(page.locator("#chosen")).to_contain_text(
        "PNG, 400 \N{MULTIPLICATION SIGN} 300 pixels (0.12 megapixels)"
    )
    expect(page.get_by_role("status")).to_contain_text("BRISQUE")
    shown = page.locator("#map").evaluate("map => [map.naturalWidth, map.naturalHeight]")
    assert shown == [400, 300]
    expect(page.locator("#wipe-row")).to_be_hidden()


def test_a_pair_gets_score_terms_map_and_wipe(page: Page, folder: Path) -> None:
    choose(page, folder, "original.png", "distorted.jpg")
    pair = [pixels(folder / "original.png")], [pixels(folder / "distorted.jpg")]
    scores = iqa.ms_ssim.score(*pair, details=True)
    assert scores.scales is not None
    expect(page.locator("#score")).to_have_text(f"{scores.values[0]:.4f}")
    values = [float(text) for text in page.locator("#bars .value").all_inner_texts()]
    np.testing.assert_allclose(values, scores.scales[0], atol=1e-4)
    assert page.locator("#map").evaluate("map => [map.naturalWidth, map.naturalHeight]") == [
        390,
        290,
    ]
    inset = page.evaluate(
        "() => document.querySelector('#map').getBoundingClientRect().left"
        " - document.querySelector('#under').getBoundingClientRect().left"
    )
    width = page.locator("#under").evaluate("image => image.getBoundingClientRect().width")
    assert inset == pytest.approx(width * 5 / 400, abs=0.5)

    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    page.mouse.click(stage["x"] + stage["width"] / 4, stage["y"] + 20)
    expect(page.get_by_label("Wipe")).to_have_value("25")
    assert (
        page.locator("#over").evaluate("image => image.style.clipPath") == "inset(0px 0px 0px 25%)"
    )

    page.get_by_role("button", name="Swap").click()
    expect(page.locator("#chosen li").first).to_contain_text("Original: distorted.jpg")
    expect(page.locator("#score")).to_have_text(f"{scores.values[0]:.4f}")


def test_many_pictures_become_a_table_to_sort_and_to_download(page: Page, folder: Path) -> None:
    names = ["original.png", "distorted.jpg", "notes.txt", "other.webp", *["small.png"] * 8]
    choose(page, folder, *names)
    status = page.get_by_role("status")
    expect(status).to_have_text("11 of 12 pictures scored. 1 could not be: see the table.")
    assert page.locator("#progress").evaluate("bar => bar.value / bar.max") == 1
    rows = page.locator("#rows tr")
    expect(rows.nth(2)).to_contain_text("Send an image in one of these formats")
    expect(rows.nth(0)).to_contain_text("400 \N{MULTIPLICATION SIGN} 300")
    assert rows.nth(0).locator("img").evaluate("image => image.naturalWidth") == 400

    heading = page.get_by_role("columnheader", name="BRISQUE")
    for order, sign in (("ascending", 1), ("descending", -1)):
        heading.get_by_role("button").click()
        expect(heading).to_have_attribute("aria-sort", order)
        cells = page.locator("#rows td:nth-child(4)").all_inner_texts()
        scores = [sign * float(cell) for cell in cells[:-1]]
        assert scores == sorted(scores)
        assert cells[-1].startswith("Send an image")

    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    table = list(csv.DictReader(StringIO(download.value.path().read_text())))
    assert [row["filename"] for row in table] == names
    assert float(table[0]["brisque"]) == pytest.approx(
        brisque_of(folder / "original.png"), abs=1e-3
    )
    assert (table[0]["width"], table[0]["height"]) == ("400", "300")
    assert table[2]["brisque"] == ""
    assert table[2]["error"].startswith("Send an image")


@pytest.mark.parametrize(
    ("names", "guilty", "sentence"),
    [
        (["broken.jpg"], 0, "The image is damaged or incomplete"),
        (["original.png", "notes.txt"], 1, "Send an image in one of these formats"),
        (["small.png", "original.png"], 0, "MS-SSIM needs sides of at least 161 pixels, not 40"),
        (["original.png", "other.webp"], 1, "Send images of the same size"),
    ],
)
def test_an_error_stands_in_words_next_to_the_file_that_caused_it(
    page: Page, folder: Path, names: list[str], guilty: int, sentence: str
) -> None:
    choose(page, folder, *names)
    expect(page.get_by_role("status")).to_contain_text("No score")
    for position, item in enumerate(page.locator("#chosen li").all()):
        expect(item.locator(".error")).to_contain_text([sentence] if position == guilty else [])
    expect(page.locator("#result")).to_be_hidden()


def test_a_service_that_is_gone_is_said_in_words(page: Page, folder: Path) -> None:
    page.route("**/api/**", lambda route: route.abort())
    choose(page, folder, "original.png")
    expect(page.locator("#chosen .error")).to_contain_text("The service cannot be reached")


def test_everything_works_from_the_keyboard(page: Page, folder: Path) -> None:
    def tab_to(selector: str) -> None:
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches('{selector}')"):
                return
        raise AssertionError(f"Tab does not reach {selector}")

    tab_to("#files")
    ring = page.locator("label[for=files]")
    assert ring.evaluate("label => getComputedStyle(label).outlineStyle") == "solid"
    # It is the browser's own control that opens the chooser; headless, that sometimes never comes.
    page.locator("#files").set_input_files([folder / "original.png", folder / "distorted.jpg"])
    expect(page.locator("#result")).to_be_visible()
    tab_to("#wipe")
    page.keyboard.press("End")
    assert (
        page.locator("#over").evaluate("image => image.style.clipPath") == "inset(0px 0px 0px 100%)"
    )
    tab_to("#opacity")
    page.keyboard.press("Home")
    assert page.locator("#map").evaluate("map => map.style.opacity") == "0"


@pytest.mark.parametrize("page", [PHONE], indirect=True)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_phone_need_not_scroll_sideways(page: Page, folder: Path, count: int) -> None:
    choose(page, folder, *["original.png", "distorted.jpg", "notes.txt"][:count])
    expect(page.locator("#result" if count < 3 else "#csv:enabled")).to_be_visible()
    widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    scroll, client = page.evaluate(widths)
    assert scroll == client == 360


@pytest.mark.parametrize(
    ("page", "is_dark"), [(DARK, True), ({"color_scheme": "light"}, False)], indirect=["page"]
)
def test_the_page_is_as_dark_as_the_system(page: Page, is_dark: bool) -> None:
    body = page.locator("body")
    ground, ink = brightness(body, "backgroundColor"), brightness(body, "color")
    assert (ground < ink) is is_dark
    assert abs(ground - ink) > 150


def test_every_control_and_picture_has_a_name(page: Page, folder: Path) -> None:
    choose(page, folder, "original.png", "distorted.jpg")
    expect(page.locator("#result")).to_be_visible()
    for control in page.locator("input:visible, button:visible, select:visible").all():
        name = control.evaluate("control => (control.labels?.[0] ?? control).textContent.trim()")
        assert name
    assert page.locator("#under").get_attribute("alt") == "original.png"


def test_the_page_asks_for_a_key_where_the_service_does(
    browser: Browser, service: RunningService, folder: Path, tmp_path: Path
) -> None:
    triton = f"--triton-url={service.grpc}"
    keyed = launch(tmp_path / "log", triton, "--workers=1", IQA_API_KEYS="right")
    try:
        wait_until_ready(keyed)
        page = browser.new_page()
        keys = ["wrong", "right"]
        score = f"{brisque_of(folder / 'original.png'):.2f}"
        page.on("dialog", lambda dialog: dialog.accept(keys.pop(0)))
        page.goto(f"{keyed.url}/ui/")
        for _ in range(2):  # it asks once
            choose(page, folder, "original.png")
            expect(page.locator("#score")).to_have_text(score)
        assert keys == []
        page.close()
    finally:
        assert stop(keyed) == 0


def test_the_documentation_works_under_its_policy(page: Page, service: RunningService) -> None:
    page.goto(f"{service.url}/")
    expect(page.locator(".swagger-ui .info .title")).to_contain_text("Image quality")
    expect(page.locator(".opblock-post").first).to_be_visible()
