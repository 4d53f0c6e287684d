"""The options of `iqa-serve`, and the check of every `IQA_*` variable before anything starts."""

from __future__ import annotations

import argparse
import difflib
import logging
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, CliApp, CliSettingsSource, SettingsConfigDict

from gateway.settings import Settings
from launcher.failure import LaunchError

logger = logging.getLogger(__name__)

PREFIX = "IQA_"
OTHERS = {"IQA_SIMD_LEVEL"}  # what the kernels read
REPOSITORY = Path(__file__).parents[1] / "model_repository"
DESCRIPTION = "Serve image-quality scores: a Triton and its gateway."
PRECEDENCE = (
    "Each option can be set by a variable, too: --drain-seconds by IQA_DRAIN_SECONDS. An option "
    "counts before its variable, a variable before the default. The gateway's settings, such as "
    "IQA_API_KEYS, are variables only: see gateway/settings.py."
)


class Options(BaseSettings):
    """How the service is started; each field is an option and the variable `IQA_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        cli_kebab_case=True,
        protected_namespaces=(),  # pydantic's, of names that start with `model_`
    )

    host: str = Field(
        "127.0.0.1", description="address of the gateway; 0.0.0.0, or :: with IPv6, for all"
    )
    root_path: str = Field(
        "", description="prefix that a proxy cuts off the paths, such as /quality"
    )
    port: int = Field(8000, ge=1, le=65535, description="of the gateway")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="another for /metrics alone, without a key; 0: none"
    )
    workers: int = Field(
        len(os.sched_getaffinity(0)), ge=1, description="gateway processes, one for each core"
    )
    metrics: str = Field("", description="metrics to load, separated by commas; empty: all")
    model_repository: Path = REPOSITORY
    model_config_name: str = Field(
        "", description="variant of the models' configuration, such as gpu"
    )
    triton_url: str = Field(
        "", description="gRPC address host:port of a Triton elsewhere; none is started then"
    )
    triton_host: str = Field(
        "127.0.0.1", description="address of the started Triton; see SECURITY.md on others"
    )
    triton_http_port: int = Field(8100, ge=1, le=65535)
    triton_grpc_port: int = Field(8101, ge=1, le=65535)
    triton_metrics_port: int = Field(8102, ge=1, le=65535)
    drain_seconds: int = Field(
        30, ge=0, description="how long accepted requests may take when stopping"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="info has a line for each request"
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="of the launcher's own lines; the gateway's are JSON"
    )

    def metric_names(self) -> list[str]:
        """The metrics to load; none named where all are.

        Raises:
            LaunchError: the repository has no such model.
        """
        names = [name.strip() for name in self.metrics.split(",") if name.strip()]
        known = {path.parent.name for path in self.model_repository.glob("*/config.pbtxt")}
        if unknown := sorted(set(names) - known):
            there = ", ".join(sorted(known))
            raise LaunchError(f"There is no metric {unknown[0]} (--metrics): there are {there}.")
        return names


def parse(arguments: Sequence[str] | None) -> Options:
    """The options, from the command line and the variables; all variables are checked.

    Raises:
        LaunchError: a value is wrong; which one.
    """
    parser = argparse.ArgumentParser(
        prog="iqa-serve",
        description=DESCRIPTION,
        epilog=PRECEDENCE,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=version("iqa-service"))
    command_line = CliSettingsSource[argparse.ArgumentParser](Options, root_parser=parser)
    try:
        options = CliApp.run(
            Options,
            cli_args=None if arguments is None else list(arguments),
            cli_settings_source=command_line,
        )
        Settings()
    except ValidationError as error:
        raise LaunchError(_sentence(error)) from error
    options.metric_names()
    return options


class _Help(argparse.HelpFormatter):
    """Leaves out defaults that are empty: the descriptions say what empty means."""

    def _expand_help(self, action: argparse.Action) -> str:
        return super()._expand_help(action).removesuffix(" (default: )")


def unknown_variables() -> list[str]:
    """A sentence on each `IQA_*` variable that nothing reads."""
    fields = {*Options.model_fields, *Settings.model_fields}
    known = OTHERS | {f"{PREFIX}{field.upper()}" for field in fields}
    sentences = []
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            nearest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.8)
            meant = f": is {nearest[0]} meant?" if nearest else "."
            sentences.append(f"Nothing reads the variable {name}{meant}")
    return sentences


def _sentence(error: ValidationError) -> str:
    """The first wrong value, as a sentence."""
    wrong = error.errors()[0]
    field = str(wrong["loc"][0]).removeprefix(PREFIX).lower()
    option = f" (--{field.replace('_', '-')})" if field in Options.model_fields else ""
    return f"{PREFIX}{field.upper()}{option} cannot be {wrong['input']!r}: {wrong['msg']}."
