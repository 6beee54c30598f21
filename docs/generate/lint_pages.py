"""The pages of the lint rules, from their docstrings, and the table that leads to them. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

from lading.inspect.lint.rule import Kind, Rule, all_rules

Table = Callable[[tuple[str, ...], Iterable[tuple[str, ...]]], str]


def lint_pages(table: Table) -> dict[str, str]:
    """File name under docs/reference → text."""
    rules = all_rules()
    rows = [
        (f"[{rule.id}]({rule.id}.md)", rule.title, rule.kind.value, rule.severity.label, _mends(rule))
        for rule in rules.values()
    ]
    index = "# Lint rules\n\nWhat `lading lint` says: [guide](../../guides/lint.md).\n\n"
    index += table(("rule", "what it finds", "in", "level", "`--fix`"), rows)
    return {"lint/README.md": index, **{f"lint/{rule.id}.md": _page(rule) for rule in rules.values()}}


def _mends(rule: Rule) -> str:
    return "mends it" if rule.mends else ""


def _page(rule: Rule) -> str:
    facts = f"{rule.kind.value} · {rule.severity.label}" + (" · `--fix` mends it" if rule.mends else "")
    comment = "" if rule.kind is Kind.IMAGE else f"`# lading: ignore {rule.id} why`, or "
    return (
        f"# {rule.id}: {rule.title}\n\n{facts}\n\n{inspect.cleandoc(rule.page)}\n\nSource: {rule.source}\n\n"
        f"Where it is wanted: {comment}`lading lint --severity {rule.id}=off`.\n"
    )
