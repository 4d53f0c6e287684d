"""The recipes of the guide run as they are written, on local data in the place of remote data."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage.data import chelsea

import iqa
from tests.bulk.conftest import write_picture

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "bulk.md").read_text()
HUGGING_FACE = "hf://datasets/USER/NAME/train/"


def blocks(heading: str, language: str) -> list[str]:
    section = re.split(r"^## ", GUIDE.partition(f"\n## {heading}")[2], flags=re.MULTILINE)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Has `iqa-score` and `python3` on the PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, command in {
        "iqa-score": f"{sys.executable} -c 'from bulk.main import main; exit(main())'",
        "python3": sys.executable,
    }.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def run(language: str, code: str, folder: Path, environment: dict[str, str]) -> None:
    command = ["bash", "-ec"] if language == "sh" else [sys.executable, "-c"]
    subprocess.run([*command, code], cwd=folder, env=environment, check=True)


def brisque(path: Path) -> float:
    return float(iqa.brisque.score([iqa.read(path)]).values[0])


def test_a_hugging_face_folder(tmp_path: Path, environment: dict[str, str]) -> None:
    names = [f"{number}.jpg" for number in range(6)]
    for number, name in enumerate(names):
        write_picture(tmp_path / "train" / name, number)
    table = pd.DataFrame({"file_name": names, "caption": [f"picture {name}" for name in names]})
    table.to_csv(tmp_path / "train" / "metadata.csv", index=False)
    for language in ("sh", "python"):
        for code in blocks("Recipe: filter a Hugging Face", language):
            local = re.sub("^pip .*", "", code, flags=re.MULTILINE)
            run(language, local.replace(HUGGING_FACE, "train/"), tmp_path, environment)
    scores = {name: brisque(tmp_path / "train" / name) for name in names}
    good = [name for name in names if scores[name] < np.median([*scores.values()])]
    kept = pd.read_csv(tmp_path / "metadata.csv")
    assert list(kept["file_name"]) == good
    assert list(kept["caption"]) == [f"picture {name}" for name in good]


def test_webdataset_shards(tmp_path: Path, environment: dict[str, str]) -> None:
    good = {}
    for shard in ("000", "001"):
        folder = tmp_path / shard
        for number in range(4):
            write_picture(folder / f"{number}.jpg", number)
            (folder / f"{number}.txt").write_text(f"caption {number}")
        Image.fromarray(chelsea()).save(folder / f"{shard}.jpg")
        (folder / f"{shard}.txt").write_text("a cat")
        pictures = [path for path in sorted(folder.glob("*.jpg")) if brisque(path) < 40]
        assert 0 < len(pictures) < 5
        names = [name for path in pictures for name in (path.name, f"{path.stem}.txt")]
        good[shard] = {name: (folder / name).read_bytes() for name in names}
        (tmp_path / "shards").mkdir(exist_ok=True)
        with tarfile.open(tmp_path / "shards" / f"{shard}.tar", "w") as tar:
            tar.add(folder, ".")
    (code,) = blocks("Recipe: filter WebDataset", "sh")
    run("sh", code, tmp_path, environment)
    for shard, files in good.items():
        with tarfile.open(tmp_path / "good" / f"{shard}.tar") as tar:
            found = {member.name: tar.extractfile(member) for member in tar}
            assert {name: file and file.read() for name, file in found.items()} == files
