"""One page that holds the whole explanation and asks the network for nothing.

Puts the files of `page/` and the tree together; how it looks and moves is theirs.
"""

from __future__ import annotations

import html
import json
from importlib.resources import files
from typing import Any

from lading.inspect.explain.account import Line
from lading.inspect.explain.explanation import Explanation, shown

_LEAST_SHARE = 20_000
"""A file that is less than this part of the image goes into one row with others."""
_MOST_CHILDREN = 250


def explanation_page(explanation: Explanation, summary: str, titles: list[str]) -> str:
    """`titles` of the savings, as the terminal has them."""
    page = files("lading.inspect.explain").joinpath("page")

    def part(name: str) -> str:
        return page.joinpath(name).read_text(encoding="utf-8")

    least = explanation.account.size_bytes // _LEAST_SHARE
    savings = [
        (title, saving.advice, saving.size_bytes, saving.packed_bytes)
        for title, saving in zip(titles, explanation.savings, strict=True)
    ]
    data = {"tree": _node(explanation.account, least), "summary": summary, "savings": savings}
    # `<` is escaped, so that no name can end the script element.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    filled = part("page.html").replace("@TITLE@", html.escape(shown(explanation.image.name)))
    for mark, name in (("@STYLE@", "style.css"), ("@TREEMAP@", "treemap.js"), ("@APP@", "app.js")):
        filled = filled.replace(mark, part(name))
    return filled.replace("@DATA@", text)


def _node(line: Line, least: int) -> list[Any]:
    children = line.sorted()
    kept = [child for child in children[:_MOST_CHILDREN] if child.size_bytes >= max(least, 1)]
    nodes = [_node(child, least) for child in kept]
    rest = children[len(kept) :]
    if rest:
        size_bytes = sum(child.size_bytes for child in rest)
        nodes.append([f"{len(rest)} smaller", size_bytes, sum(child.packed_bytes for child in rest), []])
    nodes.sort(key=lambda node: -node[1])
    return [shown(line.name), line.size_bytes, line.packed_bytes, nodes]
