"""The page in a real browser against the real service: what people choose, see and operate."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import iqa
from tests.conftest import RunningService, running
from tests.ui.pictures import brisque_of, choose, pixels, show_map

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
DARK = {"color_scheme": "dark"}


def brightness(colour: Locator, attribute: str) -> float:
    """Mean of the element's computed colour, 0 to 255."""
    text = colour.evaluate(f"element => getComputedStyle(element).{attribute}")
    return float(np.mean([int(part) for part in text[4:-1].split(",")]))


def card(page: Page, title: str) -> Locator:
    heading = page.get_by_role("heading", name=title, exact=True)
    return page.locator(".card").filter(has=heading)


def test_the_documentation_leads_to_a_page_that_may_load_nothing_foreign(
    service: RunningService,
) -> None:
    document = httpx.get(f"{service.url}/openapi.json").json()
    assert "(ui/)" in document["info"]["description"]
    answer = httpx.get(f"{service.url}/ui", follow_redirects=True)
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("img-src") == "'self' blob:"
    assert set(policy.values()) == {"'self'", "'none'"}


def test_the_empty_page_says_what_the_numbers_mean_and_offers_samples(page: Page) -> None:
    expect(page.locator("#metrics dt")).to_have_text([metric.title for metric in iqa.METRICS])
    for metric, meaning in zip(iqa.METRICS, page.locator("#metrics dd").all(), strict=True):
        expect(meaning).to_contain_text(metric.summary)
        expect(meaning).to_contain_text(metric.direction.capitalize())
    page.get_by_role("button", name="Try a pair").click()
    expect(card(page, "MS-SSIM")).to_contain_text("differences")
    expect(page.locator("#intro")).to_be_hidden()
    page.get_by_role("button", name="Swap").click()
    expect(page.locator("#chosen li").first).to_contain_text("Original: distorted.jpg")


def test_the_sample_picture_scores(page: Page) -> None:
    page.get_by_role("button", name="Try a picture").click()
    expect(page.locator("#chosen")).to_contain_text("distorted.jpg")
    assert float(page.locator("#score").inner_text()) > 40


def test_one_picture_gets_its_score_in_words_and_its_facts(page: Page, folder: Path) -> None:
    choose(page, folder, "original.png")
    score = brisque_of(folder / "original.png")
    expect(page.locator("#score")).to_have_text(f"{score:.2f}")
    expect(page.locator("#words")).to_contain_text("Excellent")
    expect(page.locator("#chosen")).to_contain_text(
        "PNG, 400 \N{MULTIPLICATION SIGN} 300 pixels (0.12 megapixels)"
    )
    expect(page.get_by_role("status")).to_contain_text("BRISQUE")
    show_map(page)
    shown = page.locator("#map").evaluate("map => [map.naturalWidth, map.naturalHeight]")
    assert shown == [400, 300]
    expect(page.locator(".legend")).to_contain_text("full of contrast")
    expect(page.locator("#wipe-row")).to_be_hidden()
    expect(page.get_by_role("button", name="Swap")).to_be_hidden()


def test_a_pair_gets_every_score_and_its_facts(page: Page, folder: Path) -> None:
    choose(page, folder, "original.png", "distorted.jpg")
    pair = [pixels(folder / "original.png")], [pixels(folder / "distorted.jpg")]
    for metric in iqa.METRICS:
        values = card(page, metric.title).locator("strong")
        if len(metric.fields) == 2:
            expected = [metric.score(*pair).values[0]]
        else:
            expected = [metric.score(images).values[0] for images in pair]
        expect(values).to_have_text([f"{value:.{metric.digits}f}" for value in expected])
    scales = iqa.ms_ssim.score(*pair, details=True).scales
    assert scales is not None
    show_map(page)
    expect(page.locator("#bars li")).to_have_count(5)
    values = [float(text) for text in page.locator("#bars .number").all_inner_texts()]
    np.testing.assert_allclose(values, scales[0], atol=1e-4)
    sizes = [(folder / name).stat().st_size for name in ("original.png", "distorted.jpg")]
    saved = 100 * (1 - sizes[1] / sizes[0])
    expect(page.locator("#chosen li").last).to_contain_text(f"{saved:.0f}% of the bytes saved")
    expect(page.locator("#chosen li").last).to_contain_text(
        f"{8 * sizes[1] / 400 / 300:.2f} bits per pixel"
    )


def test_a_pair_is_sent_once_and_again_only_for_its_map(page: Page, folder: Path) -> None:
    sent: list[str] = []
    page.on("request", lambda each: sent.append(each.url) if each.method == "POST" else None)
    choose(page, folder, "original.png", "distorted.jpg")
    expect(page.locator("#result")).to_be_visible()
    assert sorted(url.partition("/iqa/")[2] for url in sent) == ["fr/", "nr/", "nr/"]
    for _ in range(2):
        show_map(page)
        page.get_by_label("Show the map").uncheck()
    assert [url.partition("/iqa/")[2] for url in sent[3:]] == ["fr/ms-ssim/map/"]


def test_a_pair_too_small_for_one_metric_gets_the_others(page: Page, folder: Path) -> None:
    choose(page, folder, "small.png", "small.png")
    expect(card(page, "MS-SSIM")).to_contain_text("SSIM takes smaller pictures")
    for title, score in (("SSIM", "1.0000"), ("PSNR", "100.00")):
        expect(card(page, title).locator("strong")).to_have_text(score)


def test_a_map_that_fails_says_why_and_is_asked_for_again(page: Page, folder: Path) -> None:
    problem = {"code": "deadline_exceeded", "detail": "The answer took too long."}
    page.route("**/map/", lambda route: route.fulfill(status=504, json=problem))
    choose(page, folder, "original.png", "distorted.jpg")
    page.get_by_label("Show the map").check()
    expect(page.locator("#map-note")).to_contain_text("This took too long")
    page.unroute("**/map/")
    page.get_by_label("Show the map").uncheck()
    show_map(page)
    expect(page.locator("#places button")).to_have_count(5)


@pytest.mark.parametrize(
    ("score", "words", "shade"),
    [
        (0.5, "Strong", "q4"),
        (0.904, "Visible", "q3"),
        (0.97, "Small", "q2"),
        (1, "Identical", "q0"),
    ],
)
def test_ms_ssims_words_and_colour_follow_the_score(
    page: Page, folder: Path, score: float, words: str, shade: str
) -> None:
    scores = {"ms_ssim": score, "ssim": 0.5, "psnr": 30}
    page.route("**/iqa/fr/", lambda route: route.fulfill(json={"scores": scores}))
    choose(page, folder, "original.png", "distorted.jpg")
    expect(page.locator("#words")).to_contain_text(words)
    expect(page.locator("#score")).to_have_class(shade)
    marker, band = (
        card(page, "MS-SSIM")
        .locator(selector)
        .evaluate("element => element.getBoundingClientRect()")
        for selector in (".marker", f".band.{shade}")
    )
    assert band["left"] - 4 <= marker["left"] + marker["width"] / 2 <= band["right"] + 4


@pytest.mark.parametrize(
    ("score", "words", "shade"), [(-3.2, "Excellent", "q0"), (50, "Fair", "q2"), (101, "Bad", "q4")]
)
def test_brisques_words_and_colour_follow_the_score(
    page: Page, folder: Path, score: float, words: str, shade: str
) -> None:
    page.route("**/iqa/nr/", lambda route: route.fulfill(json={"scores": {"brisque": score}}))
    choose(page, folder, "original.png")
    expect(page.locator("#score")).to_have_text(f"{score:.2f}")
    expect(page.locator("#words")).to_contain_text(words)
    expect(page.locator("#score")).to_have_class(shade)


@pytest.mark.parametrize(
    ("names", "guilty", "sentence"),
    [
        (["broken.jpg"], 0, "This file is damaged or incomplete"),
        (["original.png", "notes.txt"], 1, "This is not a picture that can be read here"),
        (["original.png", "other.webp"], 1, "The two pictures differ in size"),
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
    expect(page.get_by_role("button", name="Swap")).to_be_hidden()


def test_a_service_that_is_gone_is_said_in_words(page: Page, folder: Path) -> None:
    expect(page.locator("#metrics dt")).not_to_have_count(0)
    page.route("**/api/**", lambda route: route.abort())
    choose(page, folder, "original.png")
    expect(page.locator("#chosen .error")).to_contain_text("The service cannot be reached")


@pytest.mark.parametrize(
    ("kept", "names", "said"),
    [
        ("/nr/", ["original.png", "distorted.jpg"], "BRISQUE"),
        ("/fr/", ["original.png"], "This service has no metric of single pictures."),
        ("/fr/", ["original.png", "distorted.jpg", "other.webp"], "no metric of single pictures."),
    ],
)
def test_a_service_of_few_metrics_says_what_it_lacks(
    page: Page, service: RunningService, folder: Path, kept: str, names: list[str], said: str
) -> None:
    document = httpx.get(f"{service.url}/api/v1/iqa/").json()
    document["metrics"] = [each for each in document["metrics"] if kept in each["path"]]
    page.route("**/api/v1/iqa/", lambda route: route.fulfill(json=document))
    page.reload()
    choose(page, folder, *names)
    expect(page.get_by_role("status")).to_contain_text(said)


def test_a_busy_service_is_asked_again(page: Page, folder: Path) -> None:
    refusals = [503, 503]

    def answer(route: object) -> None:
        if refusals:
            route.fulfill(status=refusals.pop(), headers={"Retry-After": "0.01"}, json={})  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    page.route("**/iqa/nr/", answer)
    choose(page, folder, "original.png")
    expect(page.locator("#score")).to_have_text(f"{brisque_of(folder / 'original.png'):.2f}")
    assert refusals == []


def test_everything_works_from_the_keyboard(page: Page, folder: Path) -> None:
    def tab_to(selector: str) -> None:
        for _ in range(20):
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
    tab_to("#stage")
    page.keyboard.press("+")
    assert page.locator("#layers").evaluate("layers => new DOMMatrix(layers.style.transform).a") > 1
    page.keyboard.press("0")
    tab_to("#wipe")
    page.keyboard.press("End")
    assert (
        page.locator("#over").evaluate("image => image.style.clipPath") == "inset(0px 0px 0px 100%)"
    )
    tab_to("#map-on")
    page.keyboard.press("Space")
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


def test_the_page_asks_for_a_key_where_the_service_does(
    browser: Browser, service: RunningService, folder: Path, tmp_path: Path
) -> None:
    triton = f"--triton-url={service.grpc}"
    with running(tmp_path / "log", triton, "--workers=1", IQA_API_KEYS="right") as keyed:
        page = browser.new_page()
        page.goto(f"{keyed.url}/ui/")
        key = page.get_by_label("API key")
        assert key.get_attribute("type") == "password"
        for attempt in ("wrong", "right"):
            key.fill(attempt)
            page.get_by_role("button", name="Go on").click()
        expect(page.locator("#metrics dt")).not_to_have_count(0)
        for _ in range(2):  # it asks once
            choose(page, folder, "original.png")
            expect(page.locator("#score")).to_have_text(
                f"{brisque_of(folder / 'original.png'):.2f}"
            )
        expect(key).to_be_hidden()
        page.close()


def test_the_documentation_works_under_its_policy(page: Page, service: RunningService) -> None:
    page.goto(f"{service.url}/")
    expect(page.locator(".swagger-ui .info .title")).to_contain_text("Image quality")
    expect(page.locator(".opblock-post").first).to_be_visible()
