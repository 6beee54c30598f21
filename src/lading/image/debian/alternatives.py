"""The alternatives system: links, `/etc/alternatives`, and its state (update-alternatives(1)).

Pure. All are in automatic mode: the highest priority wins, of equal ones the first.
"""

from __future__ import annotations

from collections.abc import Iterable

from lading.image.debian.root import Root
from lading.image.debian.scripts import Choice


def apply_alternatives(root: Root, choices: Iterable[Choice]) -> None:
    """Link each name to its best candidate that exists in `root`."""
    by_name: dict[str, list[Choice]] = {}
    for choice in choices:
        if root.get(choice.path.lstrip("/")) is not None:
            by_name.setdefault(choice.name, []).append(choice)
    for name in sorted(by_name):
        candidates = by_name[name]
        best = max(candidates, key=lambda choice: choice.priority)  # max keeps the first of equal ones
        _link(root, best.link, name, best.path)
        for link, slave, path in best.slaves:
            if root.get(path.lstrip("/")) is not None:
                _link(root, link, slave, path)
        root.file(f"var/lib/dpkg/alternatives/{name}", _state(best.link, candidates))


def _link(root: Root, link: str, name: str, path: str) -> None:
    root.symlink(f"etc/alternatives/{name}", path)
    root.symlink(link.lstrip("/"), f"/etc/alternatives/{name}")


def _state(link: str, candidates: list[Choice]) -> bytes:
    links = {slave: slave_link for choice in candidates for slave_link, slave, _ in choice.slaves}
    lines = ["auto", link]
    for slave in sorted(links):
        lines += [slave, links[slave]]
    lines.append("")
    for choice in sorted(candidates, key=lambda choice: choice.path):
        paths = {slave: path for _, slave, path in choice.slaves}
        lines += [choice.path, str(choice.priority), *(paths.get(slave, "") for slave in sorted(links))]
    return "\n".join([*lines, "", ""]).encode()
