"""What was read of an image, as values: members of layers, layers, the image. Pure.

All numbers are of what was read: a member's bytes are its header blocks, its payload and the padding after
it, and with the end of each archive they add up to every uncompressed byte. The same three have their share
of the bytes as stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from lading.oci.digest import DiffId, Digest


class MemberKind(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    DEVICE = "device"
    FIFO = "fifo"
    WHITEOUT = "whiteout"
    """`path` is what it hides."""
    OPAQUE = "opaque"
    """`path` is the folder whose lower content it hides."""


class Packing(StrEnum):
    """How a layer is stored, and so how well the share of one member is known."""

    PLAIN = "plain"
    """Not compressed: exact."""
    MEMBERS = "members"
    """gzip with members of its own around each payload, as lading writes it: exact."""
    STREAM = "stream"
    """One compressed stream: how much of it was read while the member's bytes came out."""


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a layer's tar."""

    path: str
    """POSIX, relative to the root, no `.` or `..`; bytes that are no UTF-8 as surrogates."""
    kind: MemberKind
    mode: int
    uid: int
    gid: int
    mtime_seconds: int
    size_bytes: int
    """Of the payload as it stands in the archive."""
    header_bytes: int
    """All blocks before the payload, extended headers and their own padding too."""
    padding_bytes: int
    packed_header_bytes: int
    packed_size_bytes: int
    packed_padding_bytes: int
    link_target: str = ""
    sha256: str = ""
    """Of a file's payload, in hex; empty for files without bytes and for all else."""

    @property
    def total_bytes(self) -> int:
        """What leaving it out saves."""
        return self.header_bytes + self.size_bytes + self.padding_bytes

    @property
    def packed_total_bytes(self) -> int:
        return self.packed_header_bytes + self.packed_size_bytes + self.packed_padding_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuCode:
    """Machine code or PTX for one GPU architecture in one file."""

    kind: str
    """`sass`, `ptx`, or `other-N`."""
    arch: int
    """86 for sm_86."""
    count: int
    size_bytes: int
    """As it stands in the file, mostly compressed already."""
    packed_size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerEvidence:
    """One layer, read to its end and checked."""

    digest: Digest
    """Of the bytes as stored."""
    diff_id: DiffId
    packing: Packing
    compression: str
    """`gzip`, `zstd` or `none`."""
    packed_bytes: int
    unpacked_bytes: int
    end_bytes: int
    """The zeros after the last member."""
    packed_end_bytes: int
    members: tuple[Member, ...]
    documents: Mapping[str, Mapping[str, Any]] = field(repr=False)
    """By path: what small files of package databases say; see `databases.py`."""
    gpu_code: Mapping[str, tuple[GpuCode, ...]] = field(repr=False)
    """By path."""


class Where(NamedTuple):
    """One member: its layer's number and its own."""

    layer: int
    member: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNote:
    """What the image says of a layer."""

    created_by: str
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEvidence:
    """An image, read whole."""

    name: str
    """As it was asked for."""
    digest: Digest | None
    """Of its manifest; None for Docker's archives, which have none."""
    config_digest: Digest
    platform: str
    config: Mapping[str, Any] = field(repr=False)
    """The config document as it is."""
    layers: tuple[LayerEvidence, ...] = field(repr=False)
    notes: tuple[LayerNote, ...] = field(repr=False)

    @property
    def unpacked_bytes(self) -> int:
        return sum(layer.unpacked_bytes for layer in self.layers)

    @property
    def packed_bytes(self) -> int:
        return sum(layer.packed_bytes for layer in self.layers)

    @property
    def is_packed(self) -> bool:
        """Whether any layer is compressed where it was found; Docker's archives have them plain."""
        return any(layer.packing is not Packing.PLAIN for layer in self.layers)

    @property
    def os_release(self) -> dict[str, str]:
        """What the system says of itself; later layers have the last word."""
        release: dict[str, str] = {}
        for layer in self.layers:
            for document in layer.documents.values():
                if document["kind"] == "os-release":
                    release |= document["fields"]
        return release

    def member(self, where: Where) -> Member:
        return self.layers[where.layer].members[where.member]
