"""Where PyTorch's builds for one accelerator come from: uv's backends, or a mirror laid out like them.

uv knows PyTorch's own indexes by the names of backends (`cpu`, `cu126`), and their address is fixed in it.
`LADING_TORCH_INDEX` names another place with the same folders, `…/cpu/`, `…/cu126/`. Then the packages that
PyTorch builds are pinned to the index of the accelerator, and all others stay on the usual ones: its indexes
hold a few builds of numpy, jinja2 and more. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from lading.project.accelerators import cuda_release

VARIABLE = "LADING_TORCH_INDEX"


def torch_backend(environment: Mapping[str, str], accelerator: str) -> str | None:
    """uv's name for the builds of `accelerator`; None: as the usual indexes have them.

    UV_TORCH_BACKEND counts for an accelerator of its kind. `auto` never: it would look at this host's GPU.
    """
    if cuda_release(accelerator) is not None:
        return accelerator
    asked = environment.get("UV_TORCH_BACKEND") or None
    if asked == "auto":
        asked = None
    if accelerator == "cpu":
        return "cpu" if asked == "cpu" or environment.get(VARIABLE) else None
    return None if asked == "cpu" else asked


def torch_index(environment: Mapping[str, str], accelerator: str) -> str | None:
    """The index to take PyTorch's builds from, where the user named a mirror; may hold credentials."""
    base, backend = environment.get(VARIABLE), torch_backend(environment, accelerator)
    return f"{base.rstrip('/')}/{backend}" if base and backend else None
