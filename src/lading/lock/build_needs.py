"""Distributions known to import others while they build, without declaring them. Data, dated. Pure.

Each was found by its own setup.py or its installation page saying `--no-build-isolation`. Looked at in
November 2026; `[image.build.NAME] needs` says the same for others, and replaces an entry.
"""

from __future__ import annotations

_TORCH = frozenset(
    {
        "apex", "causal-conv1d", "deepspeed", "detectron2", "flash-attn", "fused-ssim", "gsplat", "mamba-ssm",
        "natten", "nvdiffrast", "pytorch3d", "torch-cluster", "torch-scatter", "torch-sparse",
        "torch-spline-conv", "transformer-engine-torch", "xformers",
    }
)  # fmt: skip


def known_needs(name: str) -> tuple[str, ...]:
    """What `name` (normalized) imports while it builds, as far as is known."""
    return ("torch",) if name in _TORCH else ()
