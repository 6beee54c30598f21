"""T42: layers compressed with zstd are read, of any number of frames, and what is damaged is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import zstandard

from engine.layers import END, listing, member, put
from lading.engine.embedded.trees import ensure_tree
from lading.errors import EngineError, LadingError
from lading.store import Store

TAR = member("x", b"content" * 500) + END


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "home")})


def packed(tar: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(tar)


SKIPPED = struct.pack("<II", 0x184D2A50, 3) + b"any"
BLOBS = {
    "one frame": packed(TAR),
    "a frame for each block": b"".join(packed(TAR[n : n + 512]) for n in range(0, len(TAR), 512)),
    "skippable frames around": SKIPPED + packed(TAR) + SKIPPED,
}


@pytest.mark.parametrize("form", BLOBS)
def test_frames_are_read_one_after_another(store: Store, form: str) -> None:
    assert set(listing(ensure_tree(store, put(store, TAR, BLOBS[form])))) == {"x"}


@pytest.mark.parametrize(
    "blob",
    [packed(TAR)[:-9], packed(TAR) + b"junk", packed(TAR)[:20] + b"\xff" * 8 + packed(TAR)[28:]],
    ids=["cut", "junk", "damage"],
)
def test_damage_and_junk_are_refused(store: Store, blob: bytes) -> None:
    with pytest.raises(LadingError):
        ensure_tree(store, put(store, TAR, blob))
    assert list((store.root / "trees").iterdir()) == []


def test_a_window_that_takes_gigabytes_is_refused(store: Store) -> None:
    """The frame's head asks for 2 GiB; a decoder would have to hold that much."""
    head = b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3])
    with pytest.raises(EngineError, match="layer-zstd"):
        ensure_tree(store, put(store, TAR, head + b"\x01\x00\x00" + packed(TAR)))


def test_a_bomb_is_refused_before_it_fills_the_disk(store: Store) -> None:
    size = 256 << 20
    tar = member("zeros") + bytes(size)
    with pytest.raises(EngineError, match="layer-bomb"):
        ensure_tree(store, put(store, tar, packed(tar)))
