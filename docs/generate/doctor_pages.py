"""The pages of the doctor's causes, from their docstrings, and the table that leads to them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lading.inspect.doctor.cause import Cause, all_causes

Table = Callable[[tuple[str, ...], Iterable[tuple[str, ...]]], str]


def doctor_pages(table: Table) -> dict[str, str]:
    """File name under docs/reference → text."""
    causes = all_causes()
    parts = ["# Causes\n", "What `lading doctor` tells apart: [guide](../../guides/doctor.md).\n"]
    for area in dict.fromkeys(cause.area for cause in causes.values()):
        rows = [
            (f"[{cause.id}]({cause.id}.md)", cause.title, cause.severity.label)
            for cause in causes.values()
            if cause.area is area
        ]
        parts += [f"## {area.value}\n", table(("cause", "what is wrong", "level"), rows) + "\n"]
    pages = {f"doctor/{cause.id}.md": _page(cause) for cause in causes.values()}
    return {"doctor/README.md": "\n".join(parts), **pages}


def _page(cause: Cause) -> str:
    return (
        f"# {cause.id}: {cause.title}\n\n{cause.area.value} · {cause.severity.label} · exit code "
        f"{cause.exit_status}\n\n{cause.page}\n\nSource: {cause.source}\n"
    )
