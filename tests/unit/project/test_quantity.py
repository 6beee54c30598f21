"""Sizes and durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.project.quantity import (
    BadQuantity,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@given(st.integers(min_value=1, max_value=2**63 - 1))
def test_every_size_survives_being_written_and_read(size_bytes: int) -> None:
    assert size_bytes == parse_size(format_size(size_bytes))


@given(st.integers(min_value=1, max_value=300_000_000_000).map(lambda ms: ms / 1000))
def test_every_duration_survives_being_written_and_read(seconds: float) -> None:
    assert seconds == parse_duration(format_duration(seconds))


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("16GB", 16 * 10**9),
        ("512MiB", 512 * 2**20),
        ("512Mi", 512 * 2**20),
        ("1.5KB", 1500),
        ("7 B", 7),
        ("1kB", 1000),
    ],
)
def test_units_mean_what_the_standards_say(text: str, size_bytes: int) -> None:
    assert size_bytes == parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("6h", 21600), ("90s", 90), ("1h30m", 5400), ("500ms", 0.5), ("1d 2h", 93600), ("1.5h", 5400)],
)
def test_durations_add_up(text: str, seconds: float) -> None:
    assert seconds == parse_duration(text)


@given(st.text(max_size=12))
def test_any_other_text_is_refused_with_one_kind_of_error(text: str) -> None:
    for parse in (parse_size, parse_duration):
        try:
            assert parse(text) > 0
        except BadQuantity as error:
            assert str(error)


@pytest.mark.parametrize("text", ["16g", "16G", "512M", "1 gb", "4mib"])
def test_a_unit_that_tools_read_differently_is_refused_with_both_readings(text: str) -> None:
    with pytest.raises(BadQuantity) as caught:
        parse_size(text)
    assert "iB" in (caught.value.suggestion or "")
