"""`python -m perf.bulk`: files a second of `iqa-score` and of others, in turns; memory of ours."""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from perf.bulk.contenders import Pool, Run, bare_loop, file_by_file, iqa_score, piq_loop
from perf.load.pictures import picture_set

SLOW = 20  # how many times fewer files the slow ones get


def main() -> None:
    """Print a table for each metric."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--files", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=5)
    arguments = options.parse_args()
    with TemporaryDirectory() as folder:
        files = _write(Path(folder), arguments.files)
        # Before anything large is loaded here: a child's peak counts what it was forked from.
        memory = _memory(Path(folder))
        for name in ("brisque", "ms_ssim"):
            _compare(name, files, arguments.rounds)
        print(f"\nmost memory of iqa-score: {memory >> 20} MiB")


def _memory(folder: Path) -> int:
    """Bytes that the command holds at most, over all the files in a process of its own."""
    code = "import sys; from bulk.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, str(folder), "--output", f"{folder}/out/"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return usage.ru_maxrss << 10


def _write(folder: Path, count: int) -> list[str]:
    contents = cycle(pair.distorted for pair in picture_set())
    paths = [folder / f"{number:06}.jpg" for number in range(count)]
    for path, content in zip(paths, islice(contents, count), strict=True):
        path.write_bytes(content)
    return [str(path) for path in paths]


def _compare(name: str, files: list[str], rounds: int) -> None:
    bare, piq = Pool(bare_loop, name), Pool(piq_loop, name)
    contenders: list[tuple[str, Run, int]] = [
        ("bare loop, a process for every core", bare, 1),
        ("iqa-score", iqa_score(name), 1),
        ("piq, a process for every core", piq, SLOW),
        ("piq file by file, as pyiqa's script goes", file_by_file(name), SLOW),
    ]
    rates: dict[str, list[float]] = {title: [] for title, _, _ in contenders}
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        for _, run, _ in contenders:
            run(files[:8])  # loads what it needs
        for _ in range(rounds):
            for title, run, fewer in contenders:
                some = files[: len(files) // fewer]
                start = time.perf_counter()
                run(some)
                rates[title].append(len(some) / (time.perf_counter() - start))
    bare.stop()
    piq.stop()
    print(f"\n| {name} | files/s | of bare loop |\n|---|--:|--:|")
    base = rates[contenders[0][0]]
    for title, values in rates.items():
        ratio = statistics.median(own / of for own, of in zip(values, base, strict=True))
        print(f"| {title} | {statistics.median(values):.0f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
