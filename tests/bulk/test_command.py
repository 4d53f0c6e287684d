"""The whole command: scores, errors, formats, gates, reports, and going on after an end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image
from pyarrow import csv, dataset, parquet

import iqa
from bulk.main import main
from tests.bulk.conftest import write_picture

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "import sys; from bulk.main import main; sys.exit(main())"]


def rows(output: str | Path) -> list[dict[str, object]]:
    return dataset.dataset(str(output)).to_table().to_pylist()


def test_scores_are_those_of_the_library(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.parquet"
    assert main([str(photos), "--output", str(output), "--threads", "3"]) == 0
    table = parquet.read_table(output)
    assert table.column_names == [
        *("path", "reference", "brisque", "error_code", "error"),
        *("width", "height", "format", "bytes", "seconds", "version"),
    ]
    found = table.to_pylist()
    assert len(found) == 12
    for row in found:
        if row["path"].endswith("bad.jpg"):
            assert (row["brisque"], row["error_code"]) == (None, "unsupported_format")
            continue
        assert row["brisque"] == iqa.brisque.score([iqa.read(row["path"])]).values[0]
        assert row["error_code"] is None
        assert (row["width"], row["height"], row["reference"]) == (176, 176, None)
        assert row["format"] == ("PNG" if row["path"].endswith("png") else "JPEG")
        assert row["bytes"] == Path(row["path"]).stat().st_size
        assert row["seconds"] > 0
        assert row["version"] == iqa.__version__
    assert [row["path"] for row in found] == sorted(
        (row["path"] for row in found), key=lambda path: ("below" in path, path)
    )


def test_every_output_holds_the_same(
    photos: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    names = ["a.parquet", "b.csv", "c.jsonl", "d/"]
    for name in names:
        assert main([str(photos), "--output", f"{tmp_path}/{name}"]) == 0
    capfdbinary.readouterr()
    assert main([str(photos), "--output", "-"]) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    tables = [
        rows(tmp_path / "a.parquet"),
        csv.read_csv(
            tmp_path / "b.csv", convert_options=csv.ConvertOptions(strings_can_be_null=True)
        ).to_pylist(),
        [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()],
        rows(tmp_path / "d"),
        [json.loads(line) for line in lines],
    ]
    columns = "path", "brisque", "width", "format", "bytes"
    kept = [[[row[name] for name in columns] for row in table] for table in tables]
    assert len(kept[0]) == 12
    assert all(table == kept[0] for table in kept)
    assert not list(tmp_path.glob("**/.*"))  # nothing half-written is left


def test_pairs_and_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(4):
        write_picture(tmp_path / "originals" / f"{seed}.png", seed)
        image = Image.open(tmp_path / "originals" / f"{seed}.png")
        (tmp_path / "copies").mkdir(exist_ok=True)
        image.save(tmp_path / "copies" / f"{seed}.webp", quality=60 if seed else 1)
    command = [
        "--reference", f"{tmp_path}/originals", "--distorted", f"{tmp_path}/copies",
        "--metric", "ms_ssim,brisque", "--output", f"{tmp_path}/report.csv",
    ]  # fmt: skip
    assert main(command) == 0
    table = csv.read_csv(tmp_path / "report.csv").to_pylist()
    expected = [
        iqa.ms_ssim.score([iqa.read(row["reference"])], [iqa.read(row["path"])]).values[0]
        for row in table
    ]
    assert [row["ms_ssim"] for row in table] == expected
    low = sorted(expected)[0]
    assert main([*command, "--fail-below", f"ms_ssim={low}"]) == 0  # the limit itself is allowed
    assert main([*command, "--fail-below", f"ms_ssim={np.nextafter(low, 1)}"]) == 1
    assert "1 rows have ms_ssim below" in capsys.readouterr().err
    assert main([*command, "--fail-above", "brisque=-100"]) == 1
    (tmp_path / "copies" / "1.webp").unlink()
    assert main([*command, "--fail-below", "ms_ssim=0"]) == 1  # nobody knows that it is good


def test_the_worse_background_counts(tmp_path: Path) -> None:
    """White on transparent is invisible over white: the pair differs over black only."""
    opaque = np.full((176, 176, 4), 255, np.uint8)
    holes = opaque.copy()
    holes[40:90, 40:90, 3] = 0
    for name, pixels in (("a", opaque), ("b", holes)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    pair = ["--reference", f"{tmp_path}/a.png", "--distorted", f"{tmp_path}/b.png"]
    assert main([*pair, "--output", f"{tmp_path}/out.jsonl"]) == 0
    assert json.loads((tmp_path / "out.jsonl").read_text())["ms_ssim"] < 0.9


def test_an_item_too_small_for_one_metric_has_the_others(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", 1, side=100)
    pair = ["--reference", f"{tmp_path}/a.png", "--distorted", f"{tmp_path}/a.png"]
    output = f"{tmp_path}/out.jsonl"
    assert main([*pair, "--metric", "ms_ssim,brisque", "--output", output]) == 0
    row = json.loads(Path(output).read_text())
    assert row["error_code"] == "image_too_small"
    assert row["ms_ssim"] is None
    assert row["brisque"] == iqa.brisque.score([iqa.read(row["path"])]).values[0]


def test_files_that_cannot_be_read_are_rows(photos: Path, tmp_path: Path) -> None:
    names = [f"{tmp_path}/nowhere.jpg", f"{photos}/1.jpg", "null\0.jpg"]
    assert main([*names, "--output", f"{tmp_path}/out.jsonl"]) == 0
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["error_code"] for row in found] == ["unreadable_file", None, "unreadable_file"]
    assert found[0]["error"] == "There is no such file."


def test_urls_in_and_out(memory: fsspec.AbstractFileSystem, photos: Path) -> None:
    memory.put(str(photos), "/photos", recursive=True)
    memory.pipe("/photos/[1] {2}*.jpg", (photos / "1.jpg").read_bytes())
    assert main(["memory://photos", "--output", "memory://out/", "--part-rows", "5"]) == 0
    names = [f"part-{number:06}.parquet" for number in range(3)]
    assert sorted(path.rpartition("/")[2] for path in memory.ls("/out", detail=False)) == names
    table = dataset.dataset("/out", filesystem=memory).to_table().to_pylist()
    assert len(table) == 13
    assert [row["error_code"] for row in table if row["error_code"]] == ["unsupported_format"]


def test_resume_takes_what_is_missing(photos: Path, tmp_path: Path) -> None:
    command = [str(photos), "--output", f"{tmp_path}/out", "--part-rows", "4"]
    assert main(command) == 0
    whole = rows(tmp_path / "out")
    assert main(command) == 2  # would mix two runs
    (tmp_path / "out" / "part-000001.parquet").unlink()
    kept = (tmp_path / "out" / "part-000002.parquet").stat().st_mtime_ns
    assert main([*command, "--resume", "--fail-above", "brisque=-100"]) == 1  # old rows count
    assert (tmp_path / "out" / "part-000002.parquet").stat().st_mtime_ns == kept
    assert (tmp_path / "out" / "part-000003.parquet").exists()
    by_path = {row["path"]: row["brisque"] for row in rows(tmp_path / "out")}
    assert by_path == {row["path"]: row["brisque"] for row in whole}
    assert len(rows(tmp_path / "out")) == len(whole)
    assert main([*command, "--resume", "--metric", "brisque,psnr"]) == 2
    assert main([str(photos), "--output", f"{tmp_path}/a.csv", "--resume"]) == 2


def start(photos: Path, output: Path) -> subprocess.Popen[bytes]:
    """A run over endless inputs, as the same pictures are named over and over."""
    manifest = output.with_suffix(".csv")
    names = [str(photos / f"{number}.jpg") for number in range(8)]
    manifest.write_text("path\n" + "".join(f"{name}\n" for name in names * 5000))
    process = subprocess.Popen(
        [*COMMAND, str(manifest), "--output", str(output), "--part-rows", "16"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    while not (output / "part-000001.parquet").exists():
        assert process.poll() is None
    return process


def test_kill_loses_no_part(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    process = start(photos, output)
    process.kill()
    process.communicate()
    before = {path: path.read_bytes() for path in output.glob("part-*.parquet")}
    held = rows(output)  # every part is whole
    assert len(held) == 16 * len(before)
    manifest = tmp_path / "out.csv"
    manifest.write_text("\n".join(manifest.read_text().split("\n")[: len(held) + 21]) + "\n")
    assert main([str(manifest), "--output", str(output), "--part-rows", "16", "--resume"]) == 0
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(rows(output)) == len(held) + 20


def test_interrupt_finishes_the_part(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    process = start(photos, output)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    count = int(re.search(rb"(\d+) rows", errors)[1])  # type: ignore[index] # it is there
    assert len(rows(output)) == count
    assert 32 <= count < 40_000


def test_report_is_one_page(photos: Path, tmp_path: Path) -> None:
    (photos / "<b>.jpg").write_bytes((photos / "1.jpg").read_bytes())
    page = tmp_path / "report.html"
    pair = ["--reference", str(photos), "--distorted", str(photos), "--metric", "brisque,ms_ssim"]
    assert main([*pair, "--output", f"{tmp_path}/a.csv", "--html", str(page)]) == 0
    text = page.read_text()
    assert len(re.findall("data:image/jpeg;base64,", text)) == 40  # ten worst and best of each
    assert len(re.findall("<rect ", text)) == 80
    assert len(re.findall("<circle ", text)) == 24  # two metrics of twelve pairs
    assert "&lt;b&gt;.jpg" in text
    assert not re.search(r"(src|href)=.(?!data:)", text)
    assert "unsupported_format" in text


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--reference", "a"],
        ["{photos}", "--metric", "ms_ssim"],
        ["{photos}", "--metric", "nonsense"],
        ["{photos}", "--fail-below", "ms_ssim=1"],
        ["{photos}", "--fail-below", "brisque"],
        ["{photos}", "--threads", "0"],
        ["--reference", "{photos}", "--distorted", "{photos}/1.jpg"],
        ["nowhere*/"],
    ],
)
def test_wrong_use(photos: Path, tmp_path: Path, arguments: list[str]) -> None:
    output = tmp_path / "out.csv"
    filled = [argument.format(photos=photos) for argument in arguments]
    assert main([*filled, "--output", str(output)]) == 2
    assert not output.exists()


def test_an_unknown_suffix_is_wrong_use(photos: Path, tmp_path: Path) -> None:
    assert main([str(photos), "--output", f"{tmp_path}/out.xlsx"]) == 2


def test_an_output_that_cannot_be_written_is_wrong_use(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(photos), "--output", f"{photos}/1.jpg/out.csv"]) == 2
    assert "1.jpg" in capsys.readouterr().err
