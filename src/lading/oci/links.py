"""Where a path in an image really is, its links followed inside the root. Pure."""

from __future__ import annotations

from collections.abc import Callable


def resolve_links(path: str, link_at: Callable[[str], str | None]) -> str:
    """`path` without links; `..` at the top stays there.

    `link_at` gives the target of the link at a place, None where there is no link to follow. It sees each
    link as it is followed, so it is where an endless chain is ended: by None, or by raising.
    """
    done: list[str] = []
    todo = path.split("/")[::-1]
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        done.append(part)
        target = link_at("/".join(done))
        if target is not None:
            if target.startswith("/"):
                done.clear()
            else:
                done.pop()
            todo.extend(target.split("/")[::-1])
    return "/".join(done)
