"""The retry policy is bounded whatever a server says."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from lading.fetch.retry import RetryPolicy, is_retried, retry_after_seconds

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@given(st.integers(1, 50), st.none() | st.floats(0, 1e9), st.floats(0, 0.999))
def test_no_delay_is_longer_than_the_longest(attempt: int, wanted: float | None, dice: float) -> None:
    policy = RetryPolicy()
    assert 0 < policy.delay_seconds(attempt, wanted, dice) <= policy.longest_delay_seconds


def test_delays_grow() -> None:
    delays = [RetryPolicy().delay_seconds(attempt, None, 0.5) for attempt in range(1, 5)]
    assert delays == sorted(delays)
    assert len(set(delays)) == 4


def test_a_4xx_is_an_answer_but_for_408_and_429() -> None:
    assert [code for code in range(400, 500) if is_retried(code)] == [408, 429]
    assert all(is_retried(code) for code in (500, 502, 503, 504))
    assert not is_retried(501)


def test_retry_after_is_read_in_both_forms() -> None:
    assert retry_after_seconds("7", NOW) == 7
    assert retry_after_seconds("Sat, 21 Nov 2026 12:00:30 GMT", NOW) == 30
    assert retry_after_seconds("Sat, 21 Nov 2026 11:00:00 GMT", NOW) == 0
    assert retry_after_seconds("soon", NOW) is None
    assert retry_after_seconds(None, NOW) is None
