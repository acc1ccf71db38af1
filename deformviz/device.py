"""Which device to compute on."""

from __future__ import annotations

import torch


def available() -> list[str]:
    """The devices of this machine, the fastest first.

    Example:
        >>> available()[-1]
        'cpu'
    """
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [name for name, there in found.items() if there] + ["cpu"]


def choose(wanted: str | None = None) -> str:
    """The wanted device, or the fastest.

    Args:
        wanted: "cuda", "cuda:1", "mps" or "cpu".

    Raises:
        ValueError: a device that this machine does not have.
    """
    if wanted is None:
        return available()[0]
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if wanted not in (*available(), *gpus):
        raise ValueError(
            f"there is no device {wanted!r} here: this machine has {', '.join(available())}"
        )
    return wanted


def describe(device: str) -> str:
    """The device's name for a person, e.g. "CPU" or "NVIDIA H200".

    Example:
        >>> describe("cpu")
        'CPU'
    """
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return {"cpu": "CPU", "mps": "Apple GPU"}[device]
