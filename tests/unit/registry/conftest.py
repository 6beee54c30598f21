"""A registry that can be made to fail, a store, and a client that does not wait long."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lading.fetch.http import Fetcher
from lading.fetch.retry import RetryPolicy
from lading.fetch.transport import Patience
from lading.registry.client import Registry
from lading.store import Store
from registry.fault_registry import FaultRegistry

QUICK = RetryPolicy(first_delay_seconds=0.001, longest_delay_seconds=0.01)
IMPATIENT = Patience(silence_seconds=0.3, grace_seconds=0.2, headers_seconds=0.2, closing_seconds=0.5)
Clients = Callable[..., Registry]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[FaultRegistry]:
    with FaultRegistry() as registry:
        yield registry


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "store")})


@pytest.fixture
def client_for(store: Store, tmp_path: Path) -> Iterator[Clients]:
    with contextlib.ExitStack() as stack:

        def make(name: str, *, offline: bool = False, **environment: str) -> Registry:
            known = {"HOME": str(tmp_path), **environment}
            fetcher = Fetcher(
                staging=store.staging,
                environment=known,
                offline=offline,
                policy=QUICK,
                patience=IMPATIENT,
            )
            stack.callback(fetcher.close)
            return Registry(name=name, fetcher=fetcher, environment=known)

        yield make


@pytest.fixture
def client(server: FaultRegistry, client_for: Clients) -> Registry:
    return client_for(server.name)
