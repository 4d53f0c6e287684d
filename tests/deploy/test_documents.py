"""What README says of errors, limits and settings is what the gateway has."""

from __future__ import annotations

import re

import pytest

from gateway.http.problems import STATUS
from gateway.settings import Settings
from launcher.options import OTHERS, Options
from tests.deploy.commands import ROOT

README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs" / "deployment.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table whose head starts so."""
    table = README.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    return [re.split(r"\s*\|\s*", line.strip())[1:-1] for line in table.splitlines()[2:]]


def test_the_table_of_errors_is_complete() -> None:
    told = set()
    for statuses, codes in rows("status"):
        named = [code for code in re.findall(r"`([a-z_]+)`", codes) if code in STATUS]
        assert {STATUS[code] for code in named} == set(map(int, statuses.split(", ")))
        told |= set(named)
    assert told == set(STATUS)


def test_the_limits_in_it_are_the_defaults() -> None:
    errors = README.partition("\n| status |")[2].partition("\n\n")[0]
    settings = Settings()
    for limit in (
        f"{settings.max_upload_bytes >> 20} MiB a file",
        f"{settings.max_request_bytes >> 20} MiB a request",
        f"{settings.max_pixels // 10**6} megapixels",
        f"more than {settings.max_batch} images",
        f"{settings.request_timeout:g} seconds",
        f"{settings.max_request_timeout:g} at most",
    ):
        assert limit in errors


def test_settings_exist_and_their_defaults_are_these() -> None:
    settings = Settings()
    for cells in rows("variable"):
        name, default = cells[0].strip("`"), cells[1].strip("` ")
        if name.startswith("IQA_"):
            value = getattr(settings, name.removeprefix("IQA_").lower())
            assert not default or default == "all" or default == f"{value}".removesuffix(".0")


@pytest.mark.parametrize("text", [README, GUIDE], ids=["README", "deployment"])
def test_variables_and_options_that_are_named_exist(text: str) -> None:
    known = OTHERS | {
        f"IQA_{field.upper()}" for field in {*Options.model_fields, *Settings.model_fields}
    }
    assert set(re.findall(r"\bIQA_[A-Z_]+\b", text)) <= known
    options = {f"--{field.replace('_', '-')}" for field in Options.model_fields}
    for given in re.findall(r'make serve ARGS="([^"]+)"', text):
        assert set(re.findall(r"--[a-z-]+", given)) <= options
