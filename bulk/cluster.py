"""The same scoring on a Ray cluster: Ray Data reads, spreads, retries, resumes and writes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import NamedTuple

import pyarrow as pa
import ray
import ray.data
from pyarrow import compute, fs, parquet
from ray.data import ActorPoolStrategy, DataContext
from ray.data.checkpoint import CheckpointConfig
from ray.data.expressions import download

from bulk import outputs, parts
from bulk.files import open_whole
from bulk.items import Item, Problem, UsageError
from bulk.listing import filesystem, is_remote
from bulk.rows import schema
from bulk.run import Job, Listener
from bulk.scoring import File, score_items
from iqa.catalogue import metric
from iqa.parallel import available_cores

LOCAL = "local"
BATCH = 32  # items that an actor takes at a time
FOR_READING = 2  # cores that Ray counts for its actor that plans downloads and for its read tasks
BLOCK_BYTES = 16 << 20  # of files, which Ray hands to an actor, and does again if that one dies
LISTED = 500  # items of a file of the list, which is what Ray spreads
LIST, CHECKPOINT = "_inputs", "_checkpoint"  # folders in the output, which its readers skip
UNREAD = Problem("unreadable_file", "The file cannot be read.")

ITEM = pa.schema(
    [(name, pa.string()) for name in ("path", "reference", "url", "reference_url", "code", "error")]
)


class Scorer:
    """What an actor of Ray does: one thread, which takes one of its node's cores."""

    def __init__(self, names: Sequence[str], max_pixels: int) -> None:
        self._metrics = [metric(name) for name in names]
        self._max_pixels = max_pixels

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Rows, see `bulk.rows.schema`, of items whose files Ray has read."""
        items, files = [], []
        for row in batch.to_pylist():
            problem = Problem(row["code"], row["error"]) if row["code"] else None
            item = Item(row["path"], row["reference"], problem)
            columns = ("file",) if item.reference is None else ("reference_file", "file")
            contents: list[File] = [UNREAD if row[name] is None else row[name] for name in columns]
            items.append(item)
            files.append(contents)
        rows = score_items(items, files, self._metrics, self._max_pixels)
        return pa.Table.from_pylist(rows, schema(self._metrics))


def run_on_ray(job: Job, address: str, listeners: Sequence[Listener]) -> bool:
    """Score on a cluster; the listeners get all rows when they are written.

    Args:
        job: its inputs and its output, a folder, must be where all nodes see them.
        address: of the cluster, `auto` for the one that runs here, `local` for one of this machine
            that ends with the call.
        listeners: see `bulk.run.run_here`.

    Returns:
        whether all is done; Ctrl-C ends it, and `resume` goes on.

    Raises:
        UsageError: the cluster, an input or the output is not to be used.
    """
    output = _absolute(job.output).rstrip("/")
    _check_output(job, output)
    listed = _list_items(job.source(), f"{output}/{LIST}")
    _connect(address)
    try:
        _score(job, output, listed)
    except KeyboardInterrupt:
        return False
    finally:
        ray.shutdown()
    for rows in parts.rows(output, schema(job.metrics)):
        for listener in listeners:
            listener.add(rows)
    return True


class _Listed(NamedTuple):
    """What is known of the items once they are listed.

    Attributes:
        store: where their files are, for all of them; None for the nodes' own disks.
        are_pairs: some have an original.
    """

    store: fs.FileSystem | None
    are_pairs: bool


def _score(job: Job, output: str, listed: _Listed) -> None:
    """Have Ray do it."""
    target = _arrow_filesystem(output)
    context = DataContext.get_current()
    context.target_max_block_size = BLOCK_BYTES
    context.checkpoint_config = CheckpointConfig(
        "path",
        f"{output}/{CHECKPOINT}",
        delete_checkpoint_on_success=False,
        override_filesystem=target,
    )
    items = ray.data.read_parquet(f"{output}/{LIST}", filesystem=target)
    items = items.with_column("file", download("url", filesystem=listed.store))
    if listed.are_pairs:
        original = download("reference_url", filesystem=listed.store)
        items = items.with_column("reference_file", original)
    items.map_batches(
        Scorer,
        fn_constructor_args=([each.name for each in job.metrics], job.max_pixels),
        batch_size=BATCH,
        batch_format="pyarrow",
        num_cpus=1,
        compute=ActorPoolStrategy(min_size=1, max_size=_cores() - FOR_READING),
    ).write_parquet(output, filesystem=target)


def _connect(address: str) -> None:
    """Join the cluster, or start one.

    Raises:
        UsageError: there is none, or one that is too small.
    """
    try:
        if address == LOCAL:
            # What reads mostly waits, so that all real cores are left for scoring.
            cores = available_cores() + FOR_READING
            ray.init(LOCAL, include_dashboard=False, num_cpus=cores)
        else:
            ray.init(address)
    except ConnectionError as error:
        raise UsageError(f"--ray {address}: {error}") from error
    if _cores() <= FOR_READING:
        ray.shutdown()
        raise UsageError(f"--ray {address}: more than {FOR_READING} cores are needed.")


def _cores() -> int:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call] # of Ray
    return int(resources["CPU"])


def _check_output(job: Job, output: str) -> None:
    if not outputs.is_folder_of_parts(output):
        raise UsageError(f"--ray writes parts: name a folder as --output, not {job.output}.")
    files, name = filesystem(output)
    if files.exists(name) and files.ls(name) and not job.resume:
        raise UsageError(f"{job.output} is in use: --resume goes on; or name another folder.")
    if files.exists(f"{name}/{LIST}"):
        files.rm(f"{name}/{LIST}", recursive=True)


def _list_items(items: Iterator[Item], folder: str) -> _Listed:
    """Write the items to Parquet files, which is what Ray reads and spreads.

    Raises:
        UsageError: a path stands twice, as Ray resumes by it; or the files are in several stores.
    """
    stores: dict[str, str] = {}
    paths, are_pairs = [], False
    for number in count():
        rows = [_listed(item) for item in islice(items, LISTED)]
        if not rows:
            break
        table = pa.Table.from_pylist(rows, ITEM)
        with open_whole(f"{folder}/{parts.PART.format(number)}") as file:
            parquet.write_table(table, file)
        paths.append(table["path"])
        urls = [url for row in rows for url in (row["url"], row["reference_url"]) if url]
        stores |= {url.partition("://")[0] if is_remote(url) else "": url for url in urls}
        are_pairs |= any(row["reference_url"] for row in rows)
    if sum(map(len, paths)) != compute.count_distinct(pa.chunked_array(paths)).as_py():
        raise UsageError("--ray: a picture is named more than once, which cannot be resumed.")
    if len(stores) > 1:
        raise UsageError(f"--ray: the files must be in one store, not in {', '.join(stores)}.")
    ((name, url),) = stores.items() or [("", "")]
    return _Listed(_arrow_filesystem(url) if name else None, are_pairs)


def _listed(item: Item) -> dict[str, str | None]:
    url, reference_url = None, None
    if not item.problem:
        url, reference_url = _absolute(item.path), item.reference and _absolute(item.reference)
    code, error = item.problem or (None, None)
    values = item.path, item.reference, url, reference_url, code, error
    return dict(zip(ITEM.names, values, strict=True))


def _absolute(path: str) -> str:
    """As other machines with the same disks call it."""
    return path if is_remote(path) else os.path.abspath(path)


def _arrow_filesystem(url: str) -> fs.FileSystem:
    return (
        fs.PyFileSystem(fs.FSSpecHandler(filesystem(url)[0]))
        if is_remote(url)
        else fs.LocalFileSystem()
    )
