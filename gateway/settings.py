"""What an operator can set, read once from `IQA_*` environment variables and checked at start."""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from decoding.limits import MAX_BYTES, MAX_PIXELS


class Settings(BaseSettings):
    """Settings of one gateway worker; each field is the variable `IQA_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="IQA_", frozen=True)

    triton_url: str = Field(
        "127.0.0.1:8101",
        description="gRPC address of Triton, host:port; several as a list or dns:///name:port",
    )
    metrics: str = Field("", description="metrics that Triton has, separated by commas; empty: all")
    transport: Literal["auto", "shm", "grpc"] = Field(
        "auto",
        description="how pixels reach Triton: shared memory, inline in gRPC, or whichever works",
    )
    triton_key_file: Path | None = Field(
        None, description="file with the key for Triton's shared-memory calls, if it asks for one"
    )
    shm_megabytes: int = Field(64, ge=1, description="shared memory for pixels, per worker")

    max_upload_bytes: int = Field(MAX_BYTES, ge=1, description="largest file")
    max_request_bytes: int = Field(256 << 20, ge=1, description="largest request body")
    max_pixels: int = Field(MAX_PIXELS, ge=1, description="largest image, width times height")
    max_batch: int = Field(64, ge=1, description="most images or pairs in one batch request")
    max_megapixels: int = Field(
        128, ge=1, description="megapixels in work at once, per worker; see gateway/admission.py"
    )
    max_held_bytes: int = Field(512 << 20, ge=1, description="upload bytes held, per worker")

    header_timeout: float = Field(10, gt=0, description="seconds for the headers of a request")
    request_timeout: float = Field(30, gt=0, description="seconds until 504, upload included")
    max_request_timeout: float = Field(120, gt=0, description="most that X-Request-Timeout may ask")

    decode_threads: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)),
        ge=1,
        description="images decoded at once, per worker",
    )
    colour: Literal["srgb", "stored"] = Field(
        "srgb", description="`stored`: embedded colour profiles are ignored, not converted to sRGB"
    )
    luma: Literal["exact", "jpeg"] = Field(
        "exact", description="`jpeg`: BRISQUE takes a JPEG's own luma plane; faster, not the same"
    )
    api_keys: SecretStr = Field(
        SecretStr(""), description="keys that may call, separated by commas; empty: everybody may"
    )
    trusted_proxies: str = Field(
        "", description="addresses or networks whose X-Forwarded-Prefix counts, by commas; `*`: any"
    )
    allowed_origins: str = Field(
        "", description="origins whose pages may call, separated by commas; `*`: any"
    )

    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def metric_names(self) -> list[str]:
        """The metrics to serve; none named where all are."""
        return _listed(self.metrics)

    def keys(self) -> list[str]:
        """The API keys; none where everybody may call."""
        return _listed(self.api_keys.get_secret_value())

    def proxies(self) -> list[IPv4Network | IPv6Network]:
        """Where trusted proxies are.

        Raises:
            ValueError: what was given is no network.
        """
        listed = _listed(self.trusted_proxies.replace("*", "0.0.0.0/0,::/0"))
        return [ip_network(each) for each in listed]

    def origins(self) -> list[str]:
        """The allowed origins."""
        return _listed(self.allowed_origins)


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
