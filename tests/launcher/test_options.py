"""An option counts before its variable, a variable before the default; wrong ones are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from launcher.failure import LaunchError
from launcher.main import main
from launcher.options import Options, parse, unknown_variables


def test_options_count_before_variables_and_these_before_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert parse([]).port == 8000
    monkeypatch.setenv("IQA_PORT", "18000")
    monkeypatch.setenv("IQA_TRITON_URL", "triton:8101")
    monkeypatch.setenv("IQA_LOG_LEVEL", "error")
    options = parse(["--log-level=info"])
    assert (options.port, options.triton_url, options.log_level) == (18000, "triton:8101", "info")


def test_each_option_has_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"host": "::", "workers": 3, "drain_seconds": 7, "model_config_name": "gpu"}
    for field, value in values.items():
        monkeypatch.setenv(f"IQA_{field.upper()}", str(value))
    from_variables = parse([])
    for field in values:
        monkeypatch.delenv(f"IQA_{field.upper()}")
    given = [f"--{field.replace('_', '-')}={value}" for field, value in values.items()]
    assert from_variables == parse(given) != Options()


def test_nobody_is_let_in_from_outside_unless_asked() -> None:
    options = parse([])
    assert (options.host, options.triton_host) == ("127.0.0.1", "127.0.0.1")


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (["--port=many"], {}, "IQA_PORT (--port) cannot be 'many'"),
        ([], {"IQA_DRAIN_SECONDS": "-1"}, "IQA_DRAIN_SECONDS (--drain-seconds) cannot be '-1'"),
        (["--log-level=loud"], {}, "IQA_LOG_LEVEL (--log-level) cannot be 'loud'"),
        ([], {"IQA_MAX_PIXELS": "0"}, "IQA_MAX_PIXELS cannot be '0'"),  # the gateway's
        (["--metrics=brisque,niqe"], {}, "There is no metric niqe (--metrics)"),
    ],
)
def test_a_wrong_value_is_one_sentence_and_status_1(
    arguments: list[str],
    variables: dict[str, str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"iqa-serve: {told}")


def test_an_unknown_variable_is_told_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert unknown_variables() == []
    monkeypatch.setenv("IQA_MAX_PIXEL", "1")
    monkeypatch.setenv("IQA_ELEPHANT", "1")
    monkeypatch.setenv("IQA_PORT", "1")
    monkeypatch.setenv("IQA_API_KEYS", "1")
    assert unknown_variables() == [
        "Nothing reads the variable IQA_ELEPHANT.",
        "Nothing reads the variable IQA_MAX_PIXEL: is IQA_MAX_PIXELS meant?",
    ]


def test_metrics_are_models_of_the_repository(tmp_path: Path) -> None:
    model = tmp_path / "mine"
    model.mkdir()
    (model / "config.pbtxt").touch()
    options = Options(model_repository=tmp_path, metrics="mine, ")
    assert options.metric_names() == ["mine"]
    assert Options(model_repository=tmp_path).metric_names() == []
    with pytest.raises(LaunchError, match="there are mine"):
        Options(model_repository=tmp_path, metrics="brisque").metric_names()


def test_help_says_what_counts_first(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(["--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "An option counts before its variable, a variable before the default" in text
    assert "(default: )" not in text


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.count(".") == 2


def test_the_launcher_starts_without_the_kernels() -> None:
    """Which take it half a second to import, and are of no use to it."""
    program = "import launcher.main, sys; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
