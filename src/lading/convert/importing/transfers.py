"""`COPY --from=STAGE`: what of another stage it takes along. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from lading.convert.importing.copying import absolute, is_requirements, to_context
from lading.convert.importing.draft import Copied, Draft
from lading.convert.importing.model import Context

_PACKAGE_FOLDERS = re.compile(
    r"/usr(?:/local)?(?:/lib(?:/python3(?:\.\d+)?(?:/(?:site|dist)-packages)?)?|/bin)?|/root/\.local(?:/.*)?"
    r"|/home/[^/]+/\.local(?:/.*)?|/opt/[a-z]*(?:conda|forge|mamba)[^/]*(?:/.*)?|/.*/site-packages"
)


def holds_packages(source: str, other: Draft) -> bool:
    """Whether what is copied is where a stage has its Python packages."""
    if other.wanted.is_empty:
        return False
    inside = any(
        source == prefix or source.startswith(f"{prefix}/") or prefix.startswith(f"{source.rstrip('/')}/")
        for prefix in (*other.wanted.prefixes, *other.wanted.exported)
    )
    return inside or _PACKAGE_FOLDERS.fullmatch(source) is not None


def copied_on(other: Draft, source: str, target: str, into: bool, context: Context) -> list[Copied]:
    """What of the stage's own copies lies at `source`, as it lies at `target`."""
    found = []
    for one in other.copies:
        if one.destination == source or one.destination.startswith(f"{source.rstrip('/')}/"):
            rest = one.destination[len(source.rstrip("/")) :]
            name = f"/{source.rpartition('/')[2]}" if into and not rest and not one.is_folder else ""
            found.append(replace(one, destination=absolute("/", f"{target}{name}{rest}")))
    if found:
        return found
    inner = to_context(source, [(c.source, c.destination, c.is_folder) for c in other.copies if c.is_folder])
    if not inner or not (context.is_file(inner) or context.is_folder(inner)):
        return []  # made there by a command
    is_folder = context.is_folder(inner)
    name = f"/{source.rpartition('/')[2]}" if into and not is_folder else ""
    origin = next(c for c in reversed(other.copies) if c.is_folder)
    return [
        replace(
            origin,
            source=inner,
            destination=absolute("/", f"{target}{name}"),
            is_folder=is_folder,
            is_requirements=is_requirements(inner),
        )
    ]
