"""An index, a store and an environment in which nothing else is reachable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fetch.loopback import Loopback

from lading.fetch.http import Fetcher
from lading.fetch.retry import RetryPolicy
from lading.lock.indexes import index_credentials
from lading.store import Store
from lock.index import Index


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def index() -> Iterator[Index]:
    with Loopback() as server:
        yield Index(server)


@pytest.fixture
def environment(index: Index, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "LADING_HOME": str(tmp_path / "store"),
        "UV_DEFAULT_INDEX": index.url,
        "UV_CACHE_DIR": str(tmp_path / "uv"),
    }


@pytest.fixture
def store(environment: dict[str, str]) -> Store:
    return Store.open(environment)


@pytest.fixture
def fetcher(store: Store, environment: dict[str, str]) -> Iterator[Fetcher]:
    quick = RetryPolicy(first_delay_seconds=0.001, longest_delay_seconds=0.01)
    fetcher = Fetcher(
        staging=store.staging,
        environment=environment,
        credentials=index_credentials(environment),
        policy=quick,
    )
    yield fetcher
    fetcher.close()
