"""How often a push asks the registry for one layer: no more than the answer can have changed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from lock.index import make_project

from lading.fetch.source import LocalFile
from lading.image.build import BuildRequest, build, lockable_layers
from lading.image.job import Sources
from lading.image.lenders import Lender, Lenders
from lading.image.model import Image
from lading.image.output.attach import Attachments
from lading.image.plan import Plan
from lading.image.publish import Pusher
from lading.image.request import BuildContext, BuildOptions
from lading.image.spec import WheelsLayer
from lading.lock.model import Lock, LockedWheel
from lading.oci.digest import Digest
from lading.oci.reference import Reference
from lading.registry.client import Registry
from lading.store import Store
from registry.fault_registry import FaultRegistry
from registry.scene import REPOSITORY
from registry.test_lenders import Listener
from small_wheel import make_wheel

NAMES = ("alpha", "beta", "gamma")


def nobody(*_: object) -> None:
    raise AssertionError("nothing but wheels is fetched")


class Scene:
    """Three locked wheels, one layer each, and a project that is pushed by a machine with an empty store."""

    def __init__(self, folder: Path, server: FaultRegistry, client: Registry) -> None:
        self.folder, self.server, self.client = folder, server, client
        self.wheels: dict[str, Path] = {}
        locked = [self._wheel(name) for name in NAMES]
        self.plan = Plan(
            project="p",
            target="train",
            accelerator="cpu",
            platform="linux/amd64",
            tag="p:1.0-cpu",
            layers=tuple(
                WheelsLayer(kind="wheel", title=wheel.name, wheels=(wheel,), python_version="3.11")
                for wheel in locked
            ),
            env=(),
            cmd=("python",),
            user="1000:1000",
            working_dir="/",
            labels={},
        )
        self.lock = Lock(inputs="0" * 64, suites=(), variants=())
        built = self.build(self.store("first"))
        self.lock = replace(self.lock, layers=lockable_layers(built.layers))
        self.layers = [layer.digest for layer in built.layers]

    def _wheel(self, name: str) -> LockedWheel:
        filename, content = make_wheel(name, "1.0")
        self.wheels[name] = self.folder / filename
        self.wheels[name].write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        return LockedWheel(
            name=name, version="1.0", filename=filename, sha256=sha256, size_bytes=len(content)
        )

    def store(self, name: str) -> Store:
        return Store.open({"LADING_HOME": str(self.folder / name)})

    def build(self, store: Store, pusher: Pusher | None = None) -> Image:
        sources = Sources(
            open_wheel=lambda wheel: LocalFile(self.wheels[wheel.name]),
            fetch_packages=nobody,  # type: ignore[arg-type]
            fetch_standalone=nobody,  # type: ignore[arg-type]
            fetch_layers=nobody,
        )
        lender = Lender(registry=self.client, repository=REPOSITORY)
        request = BuildRequest(
            plan=self.plan,
            lock=self.lock,
            lock_digest=Digest.of(b""),
            workers=1,
            elsewhere=pusher,
            # As the command line has it: what the destination has is taken from there.
            lenders=Lenders(lenders=(lender,), store=store, warn=nobody) if pusher is not None else None,
        )
        return build(request, store, sources, {}, Listener())  # type: ignore[arg-type]

    def push(self, name: str, meanwhile: Callable[[], object] = lambda: None) -> Mapping[Digest, int]:
        """Build, then push, with an empty store; how often each layer was asked for."""
        store = self.store(name)
        self.server.log.clear()
        pusher = Pusher(
            registry=self.client,
            destination=Reference(registry=self.server.name, repository=REPOSITORY, tag="1"),
            project=make_project(self.folder / f"project-{name}"),
            context=BuildContext(store=store, environment={}, listener=Listener()),  # type: ignore[arg-type]
            options=BuildOptions(),
        )
        image = self.build(store, pusher)
        meanwhile()
        documents = Attachments(sbom=store.blobs.put(b"[1]"), provenance=store.blobs.put(b"[2]"))
        pusher.push(image, documents)
        heads = Counter(seen.path.rpartition("/")[2] for seen in self.server.requests("HEAD", "/blobs/"))
        return {digest: heads[str(digest)] for digest in self.layers}


@pytest.fixture
def scene(tmp_path: Path, server: FaultRegistry, client: Registry) -> Scene:
    return Scene(tmp_path, server, client)


def test_a_layer_that_is_there_is_asked_for_once(scene: Scene) -> None:
    """By the build, which leaves it out; the push believes it."""
    scene.push("filling")
    assert set(scene.push("second").values()) == {1}


def test_a_layer_that_is_missing_is_asked_for_once_by_the_build_and_once_before_it_is_sent(
    scene: Scene,
) -> None:
    """Not again as something that the destination could lend; but others may have sent it meanwhile."""
    assert set(scene.push("first-push").values()) == {2}


def test_a_layer_that_vanished_after_it_was_asked_for_is_sent_after_all(scene: Scene) -> None:
    """The registry refuses the manifest, and then nothing is believed."""
    scene.push("filling")
    gone = scene.layers[0]
    place = REPOSITORY, str(gone)
    scene.store("late").blobs.put(scene.store("filling").blobs.read(gone, limit_bytes=1 << 20))
    asked = scene.push("late", meanwhile=lambda: scene.server.blobs.pop(place))
    assert asked[gone] == 2
    assert place in scene.server.blobs
