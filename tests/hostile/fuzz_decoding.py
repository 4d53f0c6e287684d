"""Coverage-guided fuzzing of what happens to an upload before it is scored.

`python -m tests.hostile.fuzz_decoding --seconds 600` mutates the files of the corpus and goes on
from those that reach new lines of the gateway or of Pillow. It ends with an error, and leaves the
file in the working directory, where anything but a picture or a problem comes out, where two
decodings of a file differ, or where one takes 20 seconds or 2 GB.
"""

from __future__ import annotations

import argparse
import struct
import sys
import tempfile
import zlib
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["decoding", "PIL"]):
    from decoding import open_picture
    from decoding.errors import DecodingError
    from decoding.jpeg import is_jpeg

from tests.hostile.corpus import corpus

MAX_PIXELS = 300_000  # some more than the pictures of the corpus have
MAX_BYTES = 200_000
LIMITS = ("-timeout=20", "-rss_limit_mb=2048", f"-max_len={MAX_BYTES}", "-print_final_stats=1")

PNG = b"\x89PNG\r\n\x1a\n"


def try_file(data: bytes) -> None:
    """Read a file as the service does."""
    for luma_only in (False, True) if is_jpeg(memoryview(data)) else (False,):
        first, second = (outcome(data, luma_only, filling) for filling in (0, 255))
        assert np.array_equal(first, second), "pixels that nobody wrote"


def outcome(data: bytes, luma_only: bool, filling: int) -> object:
    """Status and code of the problem, or the pixels, in memory that was full of `filling`."""
    try:
        picture = open_picture(memoryview(data), max_pixels=MAX_PIXELS, luma_only=luma_only)
        assert 0 < picture.height * picture.width <= MAX_PIXELS
        assert picture.channels in (1, 3)
        shape = (picture.height, picture.width, picture.channels)
        pixels = np.full(shape, filling, np.uint8)
        picture.decode(pixels)
    except DecodingError as problem:
        return problem.code
    return pixels


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """As libFuzzer does, but the checksums of a PNG are right again: else they are all it tests."""
    del seed
    mutated = atheris.Mutate(data, max_size)
    return with_checksums(mutated) if mutated.startswith(PNG) else mutated


def with_checksums(png: bytes) -> bytes:
    """The file with the checksum of each of its chunks set right."""
    fixed, position = bytearray(png), len(PNG)
    while position + 12 <= len(fixed):
        (length,) = struct.unpack_from(">I", fixed, position)
        end = position + 8 + length
        if end + 4 > len(fixed):
            break
        struct.pack_into(">I", fixed, end, zlib.crc32(fixed[position + 4 : end]))
        position = end + 4
    return bytes(fixed)


def main() -> None:
    """Fuzz for as long, or as often, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--runs", type=int, default=-1, help="files to try; -1: no matter how many")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for number, entry in enumerate(corpus()):
            if len(entry.file) <= MAX_BYTES:
                (Path(folder) / str(number)).write_bytes(entry.file)
        bounds = [f"-max_total_time={arguments.seconds}", f"-runs={arguments.runs}"]
        atheris.Setup([sys.argv[0], *bounds, *LIMITS, folder], try_file, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
