"""Rules for every test: a skip is a failure unless it is on the list with its reason."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

ALLOWED_SKIPS = Path(__file__).parent / "allowed_skips.txt"


def pytest_configure() -> None:
    """A shell starts what it puts in the background with Ctrl-C ignored, and children inherit that; tests
    that interrupt a command would wait for ever."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--forbid-skips",
        action="store_true",
        help="a skipped test counts as failed unless tests/allowed_skips.txt names it",
    )


def allowed_skips(text: str) -> Iterator[tuple[str, str]]:
    """(node id prefix, reason) of each entry; node ids hold `::`, so the separator is colon and blank."""
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            prefix, _, reason = line.partition(": ")
            yield prefix.strip(), reason.strip()


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport, config: pytest.Config) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or not config.getoption("--forbid-skips"):
        return
    allowed = [prefix for prefix, reason in allowed_skips(ALLOWED_SKIPS.read_text("utf-8")) if reason]
    if any(report.nodeid.startswith(prefix) for prefix in allowed):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} was skipped and is not in tests/allowed_skips.txt: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report, collector.config)
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for prefix, reason in allowed_skips(ALLOWED_SKIPS.read_text("utf-8")):
        terminalreporter.write_line(f"may be skipped: {prefix}: {reason}")


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes by their length: gzip notes the hour, and processes that share the tests must name them alike."""
    return f"{argname}-of-{len(val)}" if isinstance(val, bytes) and len(val) > 16 else None
