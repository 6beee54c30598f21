"""The store against a model in memory: any order of operations, with writers that die halfway."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from lading.errors import DigestMismatch, StoreError
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.store import Store
from lading.store.collect import gc
from lading.store.verify import verify

CONTENT = st.binary(min_size=1, max_size=64)
KEYS = st.integers(0, 5).map(lambda number: Digest.of(str(number).encode()).hex)


class Crash(Exception):
    """The writer dies here."""


class StoreMachine(RuleBasedStateMachine):
    """F8. The model: a set of blobs, records that name some of them, and which of them are damaged."""

    blobs = Bundle("blobs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = Store.open({"LADING_HOME": str(self.folder / "home")})
        self.content: dict[Digest, bytes] = {}
        self.records: dict[str, Digest] = {}
        self.roots: set[Digest] = set()
        self.damaged: set[Digest] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(target=blobs, content=CONTENT)
    def put(self, content: bytes) -> Digest:
        digest = self.store.blobs.put(content)
        self.content[digest] = content
        return digest

    @rule(target=blobs, names=st.lists(blobs, max_size=3))
    def put_document(self, names: list[Digest]) -> Digest:
        """A blob that names others keeps them."""
        return self.put(canonical_json({"layers": [{"digest": str(name)} for name in names]}))

    @rule(content=CONTENT, written=st.integers(0, 64))
    def die_while_writing(self, content: bytes, written: int) -> None:
        """Nothing is there that was not committed, and a written digest is checked."""
        with contextlib.suppress(Crash), self.store.blobs.writer() as writer:
            writer.write(content[:written])
            raise Crash

    @rule(content=CONTENT, other=CONTENT)
    def commit_something_else(self, content: bytes, other: bytes) -> None:
        with contextlib.suppress(DigestMismatch), self.store.blobs.writer() as writer:
            writer.write(content)
            self.content[writer.commit(Digest.of(other))] = content

    @rule(key=KEYS, digest=blobs)
    def record(self, key: str, digest: Digest) -> None:
        if digest in self.content:
            self.store.layers.put(key, {"digest": str(digest)})
            self.records[key] = digest

    @rule(key=KEYS)
    def remove_record(self, key: str) -> None:
        self.store.layers.remove(key)
        self.records.pop(key, None)

    @rule(digest=blobs)
    def hold(self, digest: Digest) -> None:
        self.roots.add(digest)

    @rule(digest=consumes(blobs))
    def damage(self, digest: Digest) -> None:
        if digest not in self.content:
            return
        path = self.store.blobs.path(digest)
        path.chmod(0o644)
        path.write_bytes(self.content[digest] + b"!")
        self.damaged.add(digest)

    @rule()
    def collect(self) -> None:
        gc(self.store, self.roots, keep_seconds=0)
        kept = self._reachable()
        self.content = {digest: c for digest, c in self.content.items() if digest in kept}
        self.records = {key: digest for key, digest in self.records.items() if digest in self.content}
        self.damaged &= self.content.keys()

    @rule()
    def repair(self) -> None:
        verify(self.store, repair=True, workers=1)
        for digest in self.damaged:
            del self.content[digest]
        self.damaged.clear()
        self.records = {key: digest for key, digest in self.records.items() if digest in self.content}

    @rule()
    def open_again(self) -> None:
        self.store = Store.open({"LADING_HOME": str(self.folder / "home")})

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert set(self.store.blobs) == set(self.content)
        assert {key: self.store.layers.get(key) for key in self.store.layers.keys()} == {  # noqa: SIM118
            key: {"digest": str(digest)} for key, digest in self.records.items()
        }

    @invariant()
    def reads_only_what_is_right(self) -> None:
        for digest, content in self.content.items():
            try:
                assert self.store.blobs.read(digest) == content
                assert digest not in self.damaged
            except DigestMismatch:
                assert digest in self.damaged

    @invariant()
    def finds_all_damage_and_no_other(self) -> None:
        result = verify(self.store, workers=1)
        corrupt = {Path(d.place).name for d in result.damages if d.kind == "corrupt-blob"}
        assert corrupt == {digest.hex for digest in self.damaged}
        others = {d.kind for d in result.damages} - {"corrupt-blob"}
        assert others <= ({"dangling-record"} if self.damaged else set())

    @invariant()
    def leaves_nothing_half_written(self) -> None:
        assert os.listdir(self.store.staging) == []

    def _reachable(self) -> set[Digest]:
        reached: set[Digest] = set()
        waiting = list(self.roots)
        while waiting:
            digest = waiting.pop()
            if digest in reached:
                continue
            reached.add(digest)
            if digest not in self.damaged:
                text = self.content.get(digest, b"")
                waiting += [name for name in self.content if text[:1] == b"{" and name.encode() in text]
        return reached


def test_reading_what_never_was_is_an_error(tmp_path: Path) -> None:
    store = Store.open({"LADING_HOME": str(tmp_path)})
    try:
        store.blobs.read(Digest.of(b"never"))
    except StoreError as error:
        assert "is not in the store" in error.message
    else:
        raise AssertionError("it was read")


StoreMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestStoreModel = StoreMachine.TestCase
