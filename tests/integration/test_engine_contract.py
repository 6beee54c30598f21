"""The embedded engine keeps the contract of engines at each of its levels."""

from __future__ import annotations

import pytest
from engine_world import program_archive, put_layer

from lading.engine.embedded import EmbeddedEngine
from lading.engine.model import Engine, ImageLayer, Level
from lading.oci.digest import DiffId, Digest
from lading.store import Store
from lading.testing.engine_contract import EngineContract

pytestmark = [pytest.mark.slow, pytest.mark.root]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path_factory.mktemp("store"))})


@pytest.fixture(scope="module")
def layers(store: Store) -> tuple[ImageLayer, ...]:
    digest, diff_id, size = put_layer(store, program_archive())
    return (ImageLayer(digest=Digest(digest), diff_id=DiffId(diff_id), size_bytes=size),)


class _AtLevel(EngineContract):
    level: Level

    @pytest.fixture
    def engine(self, store: Store) -> Engine:
        engine = EmbeddedEngine(store, {"LADING_EMBEDDED_LEVEL": self.level.value})
        assert engine.probe().level is self.level
        return engine


class TestNamespaces(_AtLevel):
    level = Level.NAMESPACES


class TestChroot(_AtLevel):
    level = Level.CHROOT


class TestProcess(_AtLevel):
    level = Level.PROCESS
