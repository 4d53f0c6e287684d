"""Which device a model instance scores on."""

from __future__ import annotations


def assigned(kind: str, number: str) -> str:
    """The device that Triton assigned: "cpu" or "cuda:<number>".

    Args:
        kind: `model_instance_kind`, "CPU" or "GPU".
        number: `model_instance_device_id`.

    Raises:
        ValueError: it is not there, or cannot be used here; the message says what to do.
    """
    if kind != "GPU":
        return "cpu"
    name = f"cuda:{number}"
    try:
        from iqa.gpu.device import resolved  # needs torch, which an installation for CPUs lacks
    except ModuleNotFoundError as error:
        raise ValueError(
            f"Triton assigned {name}, but {error.name} is not installed: install the extra gpu, "
            "or start with CUDA_VISIBLE_DEVICES= to score on the CPU"
        ) from error
    resolved(name)
    return name
