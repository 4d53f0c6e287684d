"""Ways to score a list of JPEG files, each as a function that scores all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import simplejpeg

from bulk.main import main
from iqa.catalogue import metric
from iqa.parallel import available_cores
from perf.load.pictures import HEIGHT, WIDTH, read_pixels

Run = Callable[[Sequence[str]], None]
"""Scores pictures by BRISQUE, or by MS-SSIM each with itself."""


def iqa_score(name: str) -> Run:
    """The command, its output included, in this process."""

    def run(files: Sequence[str]) -> None:
        columns = ["--column", "path"]
        if len(metric(name).inputs) == 2:
            columns += ["--reference-column", "path"]
        with TemporaryDirectory() as folder:
            manifest = Path(folder) / "files.csv"
            manifest.write_text("path\n" + "".join(f"{file}\n" for file in files))
            output = ["--metric", name, "--output", f"{folder}/out/"]
            assert main([str(manifest), *columns, *output]) == 0

    return run


class Pool:
    """A process for every core, each of which runs a function over its share of the files."""

    def __init__(self, loop: Callable[[str, Sequence[str]], None], name: str) -> None:
        self._loop, self._name = loop, name
        self._processes = ProcessPoolExecutor(available_cores(), mp_context=get_context("spawn"))

    def __call__(self, files: Sequence[str]) -> None:
        """Score all."""
        cores = available_cores()
        shares = [files[core::cores] for core in range(cores)]
        list(self._processes.map(self._loop, [self._name] * cores, shares))

    def stop(self) -> None:
        """End the processes."""
        self._processes.shutdown()


def bare_loop(name: str, files: Sequence[str]) -> None:
    """Read, decode and kernel, and nothing else."""
    scorer = metric(name)
    buffers = [bytearray(HEIGHT * WIDTH * 3) for _ in scorer.inputs]
    for file in files:
        content = Path(file).read_bytes()
        images = [simplejpeg.decode_jpeg(content, "RGB", buffer=buffer) for buffer in buffers]
        scorer.score(*([image] for image in images), threads=1)


def piq_loop(name: str, files: Sequence[str]) -> None:
    """piq on one torch thread, decoded by Pillow."""
    from perf.baselines.piq_scores import score  # imports torch, which only this needs

    for file in files:
        pixels = read_pixels(Path(file).read_bytes())
        score(name, *[pixels] * len(metric(name).inputs))


def file_by_file(name: str) -> Run:
    """As pyiqa's script goes: one file after the other in one process, on all torch threads."""

    def run(files: Sequence[str]) -> None:
        import torch

        from perf.baselines import piq_scores

        torch.set_num_threads(available_cores())
        for file in files:
            pixels = read_pixels(Path(file).read_bytes())
            piq_scores.score(name, *[pixels] * len(metric(name).inputs))

    return run
