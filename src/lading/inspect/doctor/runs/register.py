"""How a cause of a run's death is entered: as any cause, and asked only where a run ended badly. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator

from lading.errors import ProjectError
from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.model import Severity, Sign
from lading.inspect.doctor.runs.evidence import RunEvidence
from lading.inspect.doctor.runs.words import Said

Check = Callable[[RunEvidence], Iterator[Sign]]


def death(
    id: str,
    title: str,
    source: str,
    *,
    severity: Severity = Severity.ERROR,
    exit_status: int = ProjectError.exit_status,
) -> Callable[[Check], Check]:
    """Enter a cause that only a run that ended badly can have."""

    def enter(check: Check) -> Check:
        @functools.wraps(check)
        def asked(run: RunEvidence) -> Iterator[Sign]:
            if not run.ended_well:
                yield from check(run)

        return cause(id, title, Area.RUN, severity, source, exit_status=exit_status)(asked)

    return enter


def said(run: RunEvidence, *patterns: re.Pattern[str]) -> Said | None:
    """The first of `patterns` that the run said late, else the first that it said at all; nothing that it
    outlived: where it went on and raised something else, that is what it died of.
    """
    last = run.words.last
    found = [
        match
        for pattern in patterns
        if (match := run.words.find(pattern)) is not None
        and (match.late or last is None or match.index >= last.start)
    ]
    return next((match for match in found if match.late), found[0] if found else None)


def told(run: RunEvidence, match: Said | None, remedy: str = "", *more: str) -> Iterator[Sign]:
    """A sign from what the run said: certain where it is among its last words."""
    if match is not None:
        proof = (match.proof, *filter(None, more), run.ending())
        yield Sign(proof=proof, remedy=remedy, certain=match.late)
