"""The shipped weights are the released ones, and nothing else is taken for them."""

import hashlib
import inspect
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export import brisque_weights
from export.brisque_weights import (
    COST,
    FEATURE_RANGES,
    LIBSVM_SHA256,
    TOLERANCE,
    from_libsvm,
    from_piq,
    largest_difference,
    main,
    save,
)
from iqa.brisque.regressor import load
from perf.baselines.piq_offline import piq


def test_the_shipped_weights_are_the_released_model() -> None:
    regressor = load()
    assert regressor.vectors.shape == (774, 36)
    assert (regressor.rho, regressor.gamma) == (-153.591, 0.05)
    assert np.abs(regressor.coefficients).max() == COST
    np.testing.assert_allclose(regressor.coefficients.sum(), 0, atol=1e-2)  # a dual constraint
    np.testing.assert_array_equal(regressor.vectors[0, :3], [-0.596978, -0.136393, -0.248933])
    assert regressor.provenance["sha256"] == LIBSVM_SHA256


def test_saving_and_loading_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    save(load(), path)
    again = load(path)
    assert largest_difference(again, load()) == 0
    assert again.provenance == load().provenance
    np.testing.assert_array_equal(again.feature_low, load().feature_low)


def test_the_released_file_is_read_as_libsvm_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file may not be shipped: here its numbers, in its format, under a checksum of its own."""
    regressor = load()
    lines = ["svm_type epsilon_svr", "kernel_type rbf", f"gamma {regressor.gamma!r}"]
    lines += ["nr_class 2", f"total_sv {len(regressor.vectors)}", f"rho {regressor.rho!r}", "SV"]
    for coefficient, vector in zip(regressor.coefficients, regressor.vectors, strict=True):
        entries = (f"{index}:{value!r}" for index, value in enumerate(vector.tolist(), 1) if value)
        lines.append(" ".join([repr(float(coefficient)), *entries]))
    content = "\n".join(lines).encode()
    checksum = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(brisque_weights, "LIBSVM_SHA256", checksum)
    (tmp_path / "allmodel").write_bytes(content)
    weights = tmp_path / "weights.npz"
    assert main(["--libsvm", f"{tmp_path}/allmodel", "--output", str(weights)]) == 0
    assert "largest difference from the shipped model: 0\n" in capsys.readouterr().out
    assert largest_difference(load(weights), regressor) == 0
    assert load(weights).provenance["sha256"] == checksum


def test_another_libsvm_file_is_refused() -> None:
    with pytest.raises(ValueError, match="not the released allmodel"):
        from_libsvm(b"svm_type epsilon_svr\nrho -155.845\nSV\n")


def test_piqs_download_is_the_same_model() -> None:
    regressor = load()
    coefficients = torch.tensor(regressor.coefficients[:, None], dtype=torch.float32)
    buffer = io.BytesIO()
    torch.save((coefficients, torch.tensor(regressor.vectors, dtype=torch.float32)), buffer)
    difference = largest_difference(from_piq(buffer.getvalue()), regressor)
    assert 0 < difference < 1e-6
    coefficients[0] += 1
    buffer = io.BytesIO()
    torch.save((coefficients, torch.tensor(regressor.vectors, dtype=torch.float32)), buffer)
    assert largest_difference(from_piq(buffer.getvalue()), regressor) > 1e-4


@pytest.mark.parametrize("field", ["gamma", "rho"])
def test_another_number_of_the_kernel_is_another_model(field: str) -> None:
    regressor = load()
    other = replace(regressor, **{field: getattr(regressor, field) + 1e-3})
    assert largest_difference(other, regressor) > TOLERANCE


@pytest.mark.parametrize("bound", ["feature_low", "feature_high"])
@pytest.mark.parametrize("feature", range(36))
def test_a_typo_in_a_features_range_is_another_model(bound: str, feature: int) -> None:
    regressor = load()
    bounds = getattr(regressor, bound).copy()
    bounds[feature] += 1e-5
    assert largest_difference(replace(regressor, **{bound: bounds}), regressor) > TOLERANCE


def test_the_ranges_are_those_that_piq_has() -> None:
    low, high = (torch.tensor(FEATURE_RANGES[:, column])[None] for column in (0, 1))
    scale = inspect.getmodule(piq.brisque)._scale_features
    np.testing.assert_allclose(scale(low), -1, atol=1e-5)
    np.testing.assert_allclose(scale(high), 1, atol=1e-5)


@pytest.mark.parametrize("change", [0.0, 1.0])
def test_another_model_is_not_written(
    change: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    regressor = load()
    coefficients = torch.tensor(regressor.coefficients[:, None], dtype=torch.float32)
    coefficients[0] += change
    buffer = io.BytesIO()
    torch.save((coefficients, torch.tensor(regressor.vectors, dtype=torch.float32)), buffer)
    monkeypatch.setattr(brisque_weights, "urlopen", lambda *_, **__: io.BytesIO(buffer.getvalue()))
    output = tmp_path / "weights.npz"
    assert main(["--piq", f"--output={output}"]) == (1 if change else 0)
    assert output.exists() is (not change)


def test_the_command_needs_a_source(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "--libsvm" in capsys.readouterr().err
