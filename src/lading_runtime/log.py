"""Log lines as JSON on standard error. A closed pipe or a full disk stops no server."""

from __future__ import annotations

import contextlib
import json
import sys
import time


def log(event: str, **fields: object) -> None:
    """One line; `fields` hold no request data."""
    line = json.dumps({"time": round(time.time(), 3), "event": event, **fields}, default=str)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
