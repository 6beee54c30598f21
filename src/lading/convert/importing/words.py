"""A word of a Dockerfile as BuildKit reads it: quotes, escapes and variables. Pure.

Source: BuildKit's `frontend/dockerfile/shell/lex.go` as documented under "Environment replacement".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Values = Mapping[str, str | None]
"""What a variable holds; None: it has a value that nobody here knows. What is absent is empty."""

PATH_BEFORE = "\0PATH"
"""What PATH holds before a stage says anything of it."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+])([^{}]*))?\}")


def substitute(text: str, values: Values) -> str | None:
    """`text` without its quotes and with its variables; None where one of them is not known."""
    out: list[str] = []
    at, quote = 0, ""
    while at < len(text):
        sign = text[at]
        if quote == "'":
            if sign == "'":
                quote = ""
            else:
                out.append(sign)
            at += 1
        elif sign == "\\" and at + 1 < len(text):
            following = text[at + 1]
            kept = quote == '"' and following not in '"\\$'
            out.append(f"\\{following}" if kept else following)
            at += 2
        elif sign == quote or (not quote and sign in "\"'"):
            quote = "" if quote else sign
            at += 1
        elif sign == "$":
            found = variable_at(text, at + 1, values)
            if found is None:
                return None
            out.append(found[0])
            at = found[1]
        else:
            out.append(sign)
            at += 1
    return "".join(out)


def variable_at(text: str, at: int, values: Values) -> tuple[str, int] | None:
    """The value of the variable whose name or brace begins at `at`, and where it ends."""
    if match := _NAME.match(text, at):
        value = values.get(match[0], "")
        return None if value is None else (value, match.end())
    if match := _BRACED.match(text, at):
        name, operator, word = match[1], match[2], match[3]
        if operator is None:
            value = values.get(name, "")
            return None if value is None else (value, match.end())
        chosen = _chosen(name in values, values.get(name), operator, word)
        inner = None if chosen is None else substitute(chosen, values)
        return None if inner is None else (inner, match.end())
    following = text[at : at + 1]
    return None if following and following in "{(" else ("$", at)


def _chosen(is_set: bool, value: str | None, operator: str, word: str) -> str | None:
    """What `${NAME:-word}` and its kin come to."""
    if is_set and value is None:
        return word if operator.endswith("+") else None
    present = bool(value) if operator.startswith(":") else is_set
    if operator.endswith("-"):
        return (value or "") if present else word
    return word if present else ""
