"""The time in an image's config: fixed, unless SOURCE_DATE_EPOCH says otherwise."""

from __future__ import annotations

import pytest

from lading.errors import UsageError
from lading.image.assemble import created_time


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, "1980-01-02T00:00:00Z", id="D05-unset"),
        pytest.param("", "1980-01-02T00:00:00Z", id="D05-empty"),
        pytest.param("0", "1970-01-01T00:00:00Z", id="D05-zero"),
        pytest.param("1700000000", "2023-11-14T22:13:20Z", id="D05-set"),
    ],
)
def test_the_time_is_fixed_or_the_one_that_was_asked_for(value: str | None, expected: str) -> None:
    assert created_time({} if value is None else {"SOURCE_DATE_EPOCH": value}) == expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("-1", id="D05-negative"),
        pytest.param("today", id="D05-no-number"),
        pytest.param("1.5", id="D05-fraction"),
        pytest.param("٣", id="D05-other-digits"),
        pytest.param("9" * 12, id="D05-beyond-all-dates"),
    ],
)
def test_what_is_no_number_of_seconds_is_an_error_of_usage(value: str) -> None:
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        created_time({"SOURCE_DATE_EPOCH": value})
