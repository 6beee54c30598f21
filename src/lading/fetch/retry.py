"""How often and how long a failed request is tried again. Pure: the clock and the dice come from outside.

At most five tries within a minute; a 4xx is an answer, except 408 and 429; Retry-After is honoured up to a
cap, because a server may name an absurd one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

_RETRIED = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    tries: int = 5
    budget_seconds: float = 60.0
    """For all waiting and trying of one request until its first byte."""
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 20.0
    """Also the most that Retry-After is listened to."""

    def delay_seconds(self, attempt: int, retry_after_seconds: float | None, dice: float) -> float:
        """How long to wait after try number `attempt` (from 1); `dice` is in [0, 1)."""
        delay: float = self.first_delay_seconds * 2 ** (attempt - 1) * (0.5 + dice)
        if retry_after_seconds is not None:
            delay = max(delay, retry_after_seconds)
        return min(delay, self.longest_delay_seconds)


def is_retried(status: int) -> bool:
    """Whether an answer with this HTTP status may be different next time."""
    return status in _RETRIED


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Retry-After as seconds from `now`; None where absent or unreadable (RFC 9110 §10.2.3)."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    from email.utils import parsedate_to_datetime  # slow to import, and few servers name a date

    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())
