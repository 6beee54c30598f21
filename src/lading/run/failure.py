"""What the last words of a failed run say about the remedy. Pure: text in, next steps out."""

from __future__ import annotations

import re

_NO_NETWORK = re.compile(
    r"Temporary failure in name resolution|Name or service not known|Network is unreachable|gaierror"
)
_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_NO_LIBRARY = re.compile(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object file")
_READ_ONLY = re.compile(r"Read-only file system: '([^']+)'")


def failure_hints(log: str, *, network: bool, task: str) -> tuple[str, ...]:
    """Next steps for what `log`, the end of a run's output, complains of; none where nothing is known."""
    hints = []
    if not network and _NO_NETWORK.search(log):
        hints.append(f"runs have no network: write network = true under [{task}], or make it a [data] input")
    if missing := _NO_MODULE.search(log):
        hints.append(f"add the package that holds {missing[1]!r} to the requirements")
    if missing := _NO_LIBRARY.search(log):
        hints.append(f'name the Debian package that holds {missing[1]}: [image] apt = ["…"]')
    if refused := _READ_ONLY.search(log):
        hints.append(f"{refused[1]} cannot be written there: write below $LADING_OUTPUTS")
    return tuple(hints)
