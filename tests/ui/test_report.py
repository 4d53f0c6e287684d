"""The report is one file that shows what the page shows and needs nothing else."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.ui.pictures import choose, show_map


def download(page: Page, target: Path) -> Path:
    with page.expect_download() as downloaded:
        page.locator(".report:visible").click()
    downloaded.value.save_as(target)
    return target


def opened(browser: Browser, report: Path) -> Page:
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(report.as_uri())
    return page


def test_of_a_pair(page: Page, browser: Browser, folder: Path, tmp_path: Path) -> None:
    choose(page, folder, "original.png", "distorted.jpg")
    show_map(page)
    score = page.locator("#score").inner_text()
    report = opened(browser, download(page, tmp_path / "report.html"))
    expect(report.locator("table")).to_contain_text(score)
    expect(report.locator("body")).to_contain_text("bytes saved")
    sizes = report.locator("img").evaluate_all("images => images.map((i) => i.naturalWidth)")
    assert sizes == [400, 400, 390]
    report.context.close()


def test_of_a_table(page: Page, browser: Browser, folder: Path, tmp_path: Path) -> None:
    choose(page, folder, "original.png", "distorted.jpg", "notes.txt")
    expect(page.locator("#csv:enabled")).to_be_visible()
    summary = page.locator("#summary").inner_text()
    report = opened(browser, download(page, tmp_path / "report.html"))
    expect(report.locator("body")).to_contain_text(summary)
    expect(report.locator("tbody tr")).to_have_count(3)
    expect(report.locator("tbody")).to_contain_text("This is not a picture")
    report.context.close()
