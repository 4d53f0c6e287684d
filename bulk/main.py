"""`iqa-score`: scores of many pictures, or of many pairs, in one table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bulk import gate, inputs
from bulk.items import UsageError
from bulk.run import Job, Listener, run_here
from bulk.summary import Summary
from decoding import MAX_PIXELS
from iqa.catalogue import METRICS
from iqa.metric import Metric
from iqa.parallel import available_cores

BROKEN_LIMIT, WRONG_USE, INTERRUPTED = 1, 2, 130

EPILOG = """
Inputs are files, folders, patterns (quote them: '2026/**/*.jpg'), URLs of any of these (s3://,
gs://, hf://, https://; install s3fs, gcsfs, huggingface_hub or aiohttp) and manifests. The exit
status is 1 if a limit is broken and 2 if the command cannot be followed.
"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    names = ", ".join(metric.name for metric in METRICS)
    options = argparse.ArgumentParser("iqa-score", description=__doc__, epilog=EPILOG)
    add = options.add_argument
    add("inputs", nargs="*", metavar="INPUT", help="what to score")
    add("--reference", help="folder or file of originals, to compare --distorted with")
    add("--distorted", help="pictures; their path without suffix says which original is theirs")
    add("--column", default="path", help="of a manifest (CSV or Parquet): the picture")
    add("--reference-column", help="of a manifest: its original")
    add("--metric", help=f"separated by commas: {names}; default: the first that fits")
    add("--output", required=True, help="folder, .parquet, .csv, .jsonl, or - for JSON lines")
    add("--part-rows", type=int, default=2000, help="rows of each file in a folder (%(default)s)")
    add("--resume", action="store_true", help="leave out what the output folder already holds")
    add("--html", metavar="FILE", help="also write a report with pictures")
    add("--fail-below", action="append", default=[], metavar="METRIC=NUMBER")
    add("--fail-above", action="append", default=[], metavar="METRIC=NUMBER")
    add("--threads", type=int, default=available_cores(), help="that compute (%(default)s)")
    add("--max-pixels", type=int, default=MAX_PIXELS, help="of a picture (%(default)s)")
    add("--ray", metavar="ADDRESS", help="run on a Ray cluster: its address, auto, or local")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except (UsageError, OSError) as error:  # OSError: the output cannot be written
        print(f"iqa-score: {error}", file=sys.stderr)
        return WRONG_USE


def _run(options: argparse.Namespace) -> int:
    source, takes_pairs = _source(options)
    metrics = _metrics(options.metric, takes_pairs)
    limits = gate.Gate(
        [gate.parse(text, metrics, is_lowest=True) for text in options.fail_below]
        + [gate.parse(text, metrics, is_lowest=False) for text in options.fail_above]
    )
    if options.threads < 1 or options.part_rows < 1:
        raise UsageError("--threads and --part-rows must be at least 1.")
    job = Job(
        source,
        metrics,
        options.output,
        options.max_pixels,
        options.resume,
        options.threads,
        options.part_rows,
    )
    summary = Summary(metrics)
    listeners: list[Listener] = [summary, limits]
    report = None
    if options.html:
        from bulk.report import Report  # needs Jinja, which nothing else does

        report = Report(summary)
        listeners.append(report)
    if options.ray:
        from bulk.cluster import run_on_ray  # needs Ray, which not everybody has

        is_done = run_on_ray(job, options.ray, listeners)
    else:
        is_done = run_here(job, listeners)
    for line in summary.lines():
        print(line, file=sys.stderr)
    if report:
        report.write(options.html)
    for limit, count in limits.broken.items():
        if count:
            print(f"iqa-score: {count} rows have {limit}, or no score", file=sys.stderr)
    if not is_done:
        return INTERRUPTED
    return BROKEN_LIMIT if limits.is_broken else 0


def _source(options: argparse.Namespace) -> tuple[inputs.Source, bool]:
    """The items, and whether they have originals."""
    both = options.reference, options.distorted
    if options.inputs and not any(both):
        pairs = options.reference_column is not None
        return inputs.pictures(options.inputs, options.column, options.reference_column), pairs
    if all(both) and not options.inputs:
        return inputs.folder_pairs(*both), True
    raise UsageError("Name inputs, or both --reference and --distorted.")


def _metrics(names: str | None, takes_pairs: bool) -> tuple[Metric, ...]:
    possible = {each.name: each for each in METRICS if takes_pairs or len(each.inputs) == 1}
    if names is None:
        wanted = 2 if takes_pairs else 1
        return (next(each for each in METRICS if len(each.inputs) == wanted),)
    chosen = list(dict.fromkeys(names.split(",")))
    for name in chosen:
        if name not in possible:
            needs = " of pictures without originals" if not takes_pairs else ""
            raise UsageError(f"--metric {name}: possible{needs}: {', '.join(possible)}.")
    return tuple(possible[name] for name in chosen)
