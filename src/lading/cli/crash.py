"""A bug of ours: what the user is told, and where the traceback is kept. Imported only when one happens."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import traceback
from pathlib import Path

from lading import __version__
from lading.cli.session import Session
from lading.errors import InternalError

_URL_CREDENTIALS = re.compile(r"//[^/\s@]+@")


def crash_error(error: Exception, session: Session) -> InternalError:
    """The InternalError to report; the traceback is in a file, and on standard error under -v."""
    text = "".join(traceback.format_exception(error))
    text = _URL_CREDENTIALS.sub("//***@", text)
    if session.verbosity >= 1:
        session.stderr.write(text)
    head = f"lading {__version__}, Python {sys.version.split()[0]}\ncommand: {sys.argv[1:2]}\n\n"
    path = _save(head + text)
    detail = _URL_CREDENTIALS.sub("//***@", f"{type(error).__name__}: {error}".splitlines()[0])
    if path is None:
        return InternalError(f"a bug in lading: {detail}", hints=("run the command again with -v",))
    return InternalError(f"a bug in lading: {detail}", place=str(path), hints=(f"cat {path}",))


def _save(text: str) -> Path | None:
    try:
        descriptor, name = tempfile.mkstemp(prefix="lading-crash-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError:
        return None
    return Path(name)
