"""Numbers, tables and progress as people read them."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.cli.format import format_count, format_seconds, format_size, format_table
from lading.cli.report import Printer, progress_line
from lading.cli.session import is_live, wants_colour
from lading.run.report import Reporter, Step


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (3_140_000_000, "3.1 GB"),
        (41_000_000, "41 MB"),
        (10**18, "1000000 TB"),
    ],
)
def test_sizes(size_bytes: int, text: str) -> None:
    assert format_size(size_bytes) == text


@given(st.integers(0, 10**15))
def test_sizes_have_at_most_three_digits(size_bytes: int) -> None:
    number, unit = format_size(size_bytes).split(" ")
    assert unit in ("B", "kB", "MB", "GB", "TB")
    assert len(number.replace(".", "")) <= 3 or unit == "TB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (0.996, "1.0 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_counts_and_tables() -> None:
    assert [format_count(n, "layer") for n in (0, 1, 2)] == ["0 layers", "1 layer", "2 layers"]
    assert format_count(2, "entry", "entries") == "2 entries"
    assert format_table([("a", "1", ""), ("bcd", "22", "x")], right=frozenset({1})) == [
        "a     1",
        "bcd  22  x",
    ]
    assert format_table([]) == []


def test_a_progress_line_has_bytes_rate_and_time_left() -> None:
    assert progress_line("writing", 12_000_000, 41_000_000, 2.0) == (
        "writing  12 MB of 41 MB  6.0 MB/s  4.8 s left"
    )
    assert progress_line("writing", 0, None, 0.0) == "writing  0 B"
    assert progress_line("writing", 5, 5, 1.0) == "writing  5 B of 5 B  5 B/s"


def test_without_a_terminal_there_are_quiet_lines_only() -> None:
    stream = io.StringIO()
    printer = Printer(stream=stream)

    with printer.progress("writing", 10) as phase:
        phase.advance(10)
    printer.phase("build")
    printer.finished(Step(name="build train", seconds=2.0, size_bytes=41_000_000, reused=True))

    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("writing: 10 B, ")
    assert lines[1:] == ["build train         2.0 s    41 MB  reused"]
    assert "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()


def test_on_a_terminal_one_line_is_drawn_over_and_taken_away() -> None:
    stream = io.StringIO()
    printer = Printer(stream=stream, live=True)

    with printer.progress("writing", 10) as phase:
        phase.advance(10)
        printer.warn("look")

    assert stream.getvalue().count("\n") == 2  # the warning, and the phase's last line
    assert "\r\x1b[K" in stream.getvalue()


def test_quiet_keeps_warnings_and_errors() -> None:
    stream = io.StringIO()
    printer = Printer(stream=stream, verbosity=-1)

    printer.note("a")
    printer.detail("b")
    printer.warn("c")
    printer.error("d", "lading.toml:1", ("lading plan", "lading plan"))

    assert stream.getvalue() == "warning: c\nerror: d\n  at lading.toml:1\nhint: lading plan\n"


def test_the_printer_is_what_runs_report_to() -> None:
    output = io.BytesIO()
    printer = Printer(stream=io.StringIO(), output=output)
    reporter: Reporter = printer

    reporter.line("a")
    reporter.warning("b")
    reporter.output(b"\xff raw")

    assert output.getvalue() == b"\xff raw"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "colour"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colour_follows_the_environment(environment: dict[str, str], colour: bool) -> None:
    assert wants_colour(Terminal(), environment) is colour
    assert wants_colour(io.StringIO(), environment) is False
    assert wants_colour(io.StringIO(), {"FORCE_COLOR": "1"}) is True


def test_a_ci_job_has_no_live_line() -> None:
    assert is_live(Terminal(), {}) and not is_live(Terminal(), {"CI": "1"}) and not is_live(io.StringIO(), {})
