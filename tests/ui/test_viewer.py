"""The stage: wipe, flip, zoom, pan, the map and the places that it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import FloatRect, Page, expect

from tests.ui.pictures import choose, show_map


@pytest.fixture
def pair(page: Page, folder: Path) -> Page:
    choose(page, folder, "original.png", "distorted.jpg")
    expect(page.locator("#result")).to_be_visible()
    return page


def box(page: Page, selector: str) -> FloatRect:
    found = page.locator(selector).bounding_box()
    assert found is not None
    return found


def cut(page: Page) -> float:
    """Per cent of the distorted picture that the wipe hides."""
    text: str = page.locator("#over").evaluate("image => image.style.clipPath")
    return float(text.split()[-1].rstrip("%)"))


def zoom(page: Page) -> list[float]:
    """Scale and offset of the pictures on the stage."""
    return page.locator("#layers").evaluate(
        "layers => { const m = new DOMMatrix(layers.style.transform); return [m.a, m.e, m.f]; }"
    )


def test_a_pair_opens_as_pictures_under_a_wipe(pair: Page) -> None:
    expect(pair.get_by_label("Show the map")).not_to_be_checked()
    assert pair.locator("#map").evaluate("map => map.style.opacity") == "0"
    expect(pair.locator("#tag-original")).to_have_text("original")
    expect(pair.locator("#tag-distorted")).to_have_text("distorted")
    stage = box(pair, "#stage")
    pair.mouse.click(stage["x"] + stage["width"] / 4, stage["y"] + 20)
    assert cut(pair) == pytest.approx(25, abs=0.5)
    assert pair.get_by_label("Wipe").evaluate("wipe => wipe.valueAsNumber") == pytest.approx(
        25, abs=0.5
    )


def test_the_handle_is_dragged_on_the_picture_even_when_zoomed(pair: Page) -> None:
    pair.locator("#zoom-in").click()
    before = zoom(pair)
    handle, stage = box(pair, "#handle"), box(pair, "#stage")
    pair.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    pair.mouse.down()
    pair.mouse.move(stage["x"] + 0.8 * stage["width"], stage["y"] + 30, steps=3)
    pair.mouse.up()
    line = box(pair, "#line")
    assert line["x"] + 1 == pytest.approx(stage["x"] + 0.8 * stage["width"], abs=2)
    assert zoom(pair) == before
    # The edge of the distorted picture lies under the line.
    scale, x, _ = before
    edge = x + scale * cut(pair) / 100 * stage["width"]
    assert edge == pytest.approx(0.8 * stage["width"], abs=2)


def test_f_flips_between_the_two(pair: Page) -> None:
    pair.keyboard.press("f")
    first = cut(pair)
    pair.keyboard.press("f")
    assert {first, cut(pair)} == {0, 100}


def test_wheel_and_keys_zoom_and_drag_pans_all_layers(pair: Page) -> None:
    stage = box(pair, "#stage")
    x, y = stage["x"] + stage["width"] / 3, stage["y"] + stage["height"] / 4
    pair.mouse.move(x, y)
    pair.mouse.wheel(0, -600)
    expect(pair.locator("#layers")).to_have_attribute("style", re.compile(r"scale\(3"))
    scale, left, _ = zoom(pair)
    # What is under the pointer stays there.
    assert (x - stage["x"] - left) / scale == pytest.approx(stage["width"] / 3, abs=1)
    pair.mouse.move(stage["x"] + 30, stage["y"] + 30)
    pair.mouse.down()
    pair.mouse.move(stage["x"] + 10, stage["y"] + 20, steps=2)
    pair.mouse.up()
    assert zoom(pair)[1] == pytest.approx(left - 20, abs=1)
    boxes = [box(pair, selector) for selector in ("#under", "#over")]
    assert boxes[0] == boxes[1]
    pair.locator("#stage").focus()
    pair.keyboard.press("1")
    assert box(pair, "#under")["width"] == pytest.approx(max(400, stage["width"]), abs=1)
    pair.keyboard.press("0")
    assert zoom(pair) == [1, 0, 0]


def test_pixels_stay_sharp_above_one_to_one(pair: Page) -> None:
    pair.locator("#stage").focus()
    rendering = "image => getComputedStyle(image).imageRendering"
    for _ in range(8):
        pair.keyboard.press("+")
    assert pair.locator("#under").evaluate(rendering) == "pixelated"


@pytest.mark.parametrize("page", [{"has_touch": True}], indirect=True)
def test_two_fingers_zoom(pair: Page) -> None:
    pair.evaluate(
        """() => {
          const stage = document.querySelector("#stage");
          stage.setPointerCapture = () => {};
          const { left, top } = stage.getBoundingClientRect();
          const send = (type, pointerId, x) => stage.dispatchEvent(new PointerEvent(type, {
            pointerId, pointerType: "touch", clientX: left + x, clientY: top + 100,
            bubbles: true }));
          send("pointerdown", 1, 100);
          send("pointerdown", 2, 200);
          send("pointermove", 2, 300);
          send("pointerup", 1, 100);
          send("pointerup", 2, 300);
        }"""
    )
    assert zoom(pair)[0] == pytest.approx(2, abs=0.05)


def test_the_map_lies_over_the_pictures_and_is_bright_where_they_differ(pair: Page) -> None:
    show_map(pair)
    expect(pair.locator("#places button")).to_have_count(5)
    expect(pair.locator(".legend")).to_contain_text("alike")
    expect(pair.locator(".legend")).to_contain_text("different")
    natural = pair.locator("#map").evaluate("map => [map.naturalWidth, map.naturalHeight]")
    assert natural == [390, 290]
    width = box(pair, "#under")["width"]
    assert box(pair, "#map")["x"] - box(pair, "#under")["x"] == pytest.approx(width / 80, abs=0.5)
    pair.get_by_label("Strength of the map").fill("40")
    assert pair.locator("#map").evaluate("map => map.style.opacity") == "0.4"


def test_the_worst_places_are_those_that_were_damaged(
    page: Page, tmp_path: Path, folder: Path
) -> None:
    original = Image.open(folder / "original.png").convert("RGB")
    damaged = original.copy()
    spot = (300, 60)
    patch = original.crop((spot[0] - 16, spot[1] - 16, spot[0] + 16, spot[1] + 16))
    damaged.paste(patch.transpose(Image.Transpose.ROTATE_90), (spot[0] - 16, spot[1] - 16))
    damaged.save(tmp_path / "damaged.png")
    page.locator("#files").set_input_files([folder / "original.png", tmp_path / "damaged.png"])
    show_map(page)
    page.get_by_role("button", name="Go to place 1").click()
    scale, x, y = zoom(page)
    stage = box(page, "#stage")
    fit = stage["width"] / 400
    centre = ((stage["width"] / 2 - x) / scale / fit, (stage["height"] / 2 - y) / scale / fit)
    assert centre == pytest.approx(spot, abs=34)
    assert scale > 1
