"""A loopback server and a fetcher that does not wait long."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fetch.loopback import Loopback
from lading.fetch.http import Fetcher
from lading.fetch.retry import RetryPolicy
from lading.fetch.transport import Patience

QUICK = RetryPolicy(first_delay_seconds=0.001, longest_delay_seconds=0.01)
IMPATIENT = Patience(silence_seconds=0.3, grace_seconds=0.2)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's proxy and netrc are not what these tests are about."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as loopback:
        yield loopback


@pytest.fixture
def fetcher_for(tmp_path: Path) -> Iterator[Callable[..., Fetcher]]:
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> Fetcher:
            options = {"policy": QUICK, "patience": IMPATIENT, "environment": {}, **options}
            fetcher = Fetcher(staging=tmp_path, **options)
            stack.callback(fetcher.close)
            return fetcher

        yield make


@pytest.fixture
def fetcher(fetcher_for: Callable[..., Fetcher]) -> Fetcher:
    return fetcher_for()
