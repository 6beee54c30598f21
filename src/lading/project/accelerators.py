"""The names an accelerator may have: `cpu`, `cuda`, or one CUDA release as PyTorch writes it, `cu126`. Pure.

`cuda` is whatever CUDA the index's default build brings; `cuNNN` is that CUDA and no other.
"""

from __future__ import annotations

import re

PATTERN = r"cpu|cuda|cu[1-9][0-9]{2}"
SAYS = "an accelerator: cpu, cuda, or one CUDA release such as cu126"
_BUILD = re.compile(r"cu([1-9][0-9])([0-9])")


def is_accelerator(text: str) -> bool:
    return re.fullmatch(PATTERN, text) is not None


def wants_gpu(accelerator: str) -> bool:
    """Whether images for it are meant to find a GPU."""
    return accelerator != "cpu"


def cuda_release(accelerator: str) -> str | None:
    """`12.6` for `cu126`; None for `cpu` and `cuda`, which name no release."""
    match = _BUILD.fullmatch(accelerator)
    return f"{match[1]}.{match[2]}" if match else None
