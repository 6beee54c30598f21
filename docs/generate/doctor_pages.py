"""The pages of the doctor's causes, from their docstrings, and the table that leads to them.

The remedies of a page are read out of the cause's own source: what depends on the host is a `…` there.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from lading.engine.embedded.probe import REMEDIES
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
    remedies = [text for text in dict.fromkeys(_remedies(cause)) if text]
    told = "".join(f"\n    {text}" for text in remedies)
    return (
        f"# {cause.id}: {cause.title}\n\n{cause.area.value} · {cause.severity.label} · exit code "
        f"{cause.exit_status}\n\n{cause.page}\n\n"
        + (f"What the finding ends with:\n{told}\n\n" if told else "")
        + f"Source: {cause.source}\n"
    )


def _remedies(cause: Cause) -> Iterator[str]:
    """The commands that its findings end with."""
    function = inspect.unwrap(cause.check)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "remedy"]
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("_each", "_found")
        ):
            values += [last.body for last in node.args[-1:] if isinstance(last, ast.Lambda)]
    for value in values:
        yield from _texts(value, function.__globals__)
    if not values and (known := REMEDIES.get(cause.id)):
        yield known


def _texts(node: ast.expr, names: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name) and isinstance(names.get(node.id), str):
        yield names[node.id]
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, names)
        yield from _texts(node.orelse, names)
