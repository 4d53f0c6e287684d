"""Many pictures: scores, summary, histogram, order, CSV, and the way to one picture and back."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import pytest
import skimage.data
from PIL import Image
from playwright.sync_api import Page, expect

import iqa
from tests.ui.pictures import brisque_of, choose, pixels

NAMES = ["original.png", "distorted.jpg", "notes.txt", "other.webp", *["small.png"] * 8]
TIMES = "\N{MULTIPLICATION SIGN}"


@pytest.fixture
def table(page: Page, folder: Path) -> Page:
    choose(page, folder, *NAMES)
    expect(page.get_by_role("status")).to_have_text(
        "11 of 12 pictures scored. 1 could not be: see the table."
    )
    return page


def scores(folder: Path) -> list[float]:
    return [brisque_of(folder / name) for name in NAMES if name != "notes.txt"]


def test_every_picture_has_a_row(table: Page, folder: Path) -> None:
    expect(table.locator("#progress-part")).to_be_hidden()
    rows = table.locator("#rows tr")
    expect(rows.nth(2)).to_contain_text("This is not a picture that can be read here")
    expect(rows.nth(0)).to_contain_text(f"400 {TIMES} 300")
    expect(rows.nth(0).locator("td").nth(4)).to_contain_text(
        f"{(folder / 'original.png').stat().st_size / 1e3:.0f} kB"
    )
    expect(rows.nth(0).locator(".number")).to_have_text(
        f"{brisque_of(folder / 'original.png'):.2f}"
    )
    expect(rows.nth(0).locator(".fill")).to_have_class("fill q0")
    drawn = "canvas => canvas.getContext('2d').getImageData(0, 0, 9, 9).data.some((v) => v)"
    assert rows.nth(0).locator("canvas").evaluate(drawn)


def test_the_summary_is_of_all_scores(table: Page, folder: Path) -> None:
    found = sorted(scores(folder))
    mean = sum(found) / len(found)
    median = found[len(found) // 2]
    expect(table.locator("#summary")).to_have_text(
        f"Mean {mean:.2f} · median {median:.2f} · worst {found[-1]:.2f} · 1 error"
    )


def test_a_bar_of_the_histogram_shows_only_its_rows(table: Page) -> None:
    bars = table.locator("#histogram button")
    last = bars.last
    last.click()
    expect(last).to_have_attribute("aria-pressed", "true")
    count = int((last.get_attribute("aria-label") or "").split()[0])
    expect(table.locator("#rows tr:visible")).to_have_count(count)
    last.click()
    expect(table.locator("#rows tr:visible")).to_have_count(len(NAMES))


def test_headings_sort(table: Page) -> None:
    heading = table.get_by_role("columnheader", name="BRISQUE")
    for order, sign in (("ascending", 1), ("descending", -1)):
        heading.get_by_role("button").click()
        expect(heading).to_have_attribute("aria-sort", order)
        cells = table.locator("#rows td:nth-child(6)").all_inner_texts()
        found = [sign * float(cell) for cell in cells[:-1]]
        assert found == sorted(found)
        assert cells[-1].startswith("This is not a picture")


def test_the_csv_has_full_scores_and_the_files_bytes(table: Page, folder: Path) -> None:
    with table.expect_download() as download:
        table.get_by_role("button", name="Download CSV").click()
    rows = list(csv.DictReader(StringIO(download.value.path().read_text())))
    assert [row["filename"] for row in rows] == NAMES
    for row, name in zip(rows, NAMES, strict=True):
        assert int(row["bytes"]) == (folder / name).stat().st_size
        if name != "notes.txt":
            assert float(row["brisque"]) == pytest.approx(brisque_of(folder / name), abs=1e-3)
    assert (rows[0]["width"], rows[0]["height"]) == ("400", "300")
    assert rows[2]["brisque"] == ""
    assert rows[2]["error"].startswith("This is not a picture")


def test_a_row_opens_its_picture_and_comes_back(table: Page, folder: Path) -> None:
    table.get_by_role("button", name="distorted.jpg").click()
    expect(table.locator("#score")).to_have_text(f"{brisque_of(folder / 'distorted.jpg'):.2f}")
    table.get_by_role("button", name="Back to the table").click()
    expect(table.locator("#rows tr:visible")).to_have_count(len(NAMES))
    expect(table.locator("#look")).to_be_hidden()


def test_two_selected_rows_are_compared(table: Page, folder: Path) -> None:
    compare = table.get_by_role("button", name="Compare the two selected")
    table.get_by_label("Select original.png").check()
    expect(compare).to_be_disabled()
    table.get_by_label("Select distorted.jpg").check()
    compare.click()
    pair = [pixels(folder / "original.png")], [pixels(folder / "distorted.jpg")]
    expect(table.locator("#score")).to_have_text(f"{iqa.ms_ssim.score(*pair).values[0]:.4f}")


def drop(page: Page, *paths: Path) -> None:
    """Let go of files or folders over the page, as the mouse does that drags them there."""
    session = page.context.new_cdp_session(page)
    dragged = {"items": [], "files": list(map(str, paths)), "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        event = {"type": kind, "x": 100, "y": 100, "data": dragged}
        session.send("Input.dispatchDragEvent", event)
    session.detach()


def test_dropped_pictures_are_compared(page: Page, folder: Path) -> None:
    drop(page, folder / "original.png", folder / "distorted.jpg")
    expect(page.locator("#chosen li").first).to_contain_text("Original: original.png")
    pair = [pixels(folder / "original.png")], [pixels(folder / "distorted.jpg")]
    expect(page.locator("#score")).to_have_text(f"{iqa.ms_ssim.score(*pair).values[0]:.4f}")


@pytest.mark.parametrize("way", ["chosen", "dropped"])
def test_two_folders_are_matched_by_name(page: Page, tmp_path: Path, way: str) -> None:
    picture = Image.fromarray(skimage.data.astronaut()).crop((0, 0, 300, 200))
    for name in ("originals/a", "originals/only", "copies/a", "copies/other"):
        path = (tmp_path / name).with_suffix(".png" if "originals" in name else ".jpg")
        path.parent.mkdir(exist_ok=True)
        picture.save(path)
    if way == "dropped":
        drop(page, tmp_path / "originals", tmp_path / "copies")
    else:
        page.get_by_text("Compare two folders").click()
        page.get_by_label("Folder of originals").set_input_files(tmp_path / "originals")
        page.get_by_label("Folder of copies").set_input_files(tmp_path / "copies")
    expect(page.get_by_role("status")).to_contain_text("1 of 3 pairs scored")
    pair = [pixels(tmp_path / "originals/a.png")], [pixels(tmp_path / "copies/a.jpg")]
    rows = page.locator("#rows tr")
    matched = rows.filter(has_text="a.jpg").first
    expect(matched.locator(".number")).to_have_text(f"{iqa.ms_ssim.score(*pair).values[0]:.4f}")
    expect(rows.filter(has_text="only")).to_contain_text("No copy of this name")
    expect(rows.filter(has_text="other.jpg")).to_contain_text("No original of this name")


def test_500_pictures_are_scored_and_stay_usable(page: Page, folder: Path) -> None:
    choose(page, folder, *["small.png"] * 500)
    expect(page.get_by_role("status")).to_have_text("500 of 500 pictures scored.", timeout=60_000)
    heading = page.get_by_role("columnheader", name="BRISQUE")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
