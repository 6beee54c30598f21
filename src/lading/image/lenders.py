"""Lenders: repositories that locked layers are taken from, so that they need not be made here.

What they send is believed for its digest alone, which the lock names. A lender that cannot be reached is said
and passed over: everything else may still come from where it always did.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from lading.errors import DigestMismatch, FetchFailed, UsageError
from lading.lock.model import LockedLayer
from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_LAYER_GZIP, Descriptor
from lading.oci.reference import Reference
from lading.registry.client import Registry, open_registry
from lading.registry.pull import fetch_blob
from lading.store import Store

_ASKED_AT_ONCE = 8
_FETCHED_AT_ONCE = 4
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lender:
    """One repository of one registry."""

    registry: Registry
    repository: str

    @property
    def name(self) -> str:
        return f"{self.registry.name}/{self.repository}"


@dataclass(slots=True, kw_only=True)
class Lenders:
    """In the order in which they are asked."""

    lenders: tuple[Lender, ...]
    store: Store
    warn: Callable[[str], None]
    tried: dict[str, str] = field(default_factory=dict)
    """By name of a lender, what came of asking it, as a clause."""
    _lacking: dict[str, frozenset[Digest]] = field(default_factory=dict, init=False)

    def note_lacking(self, name: str, layers: Iterable[Digest]) -> None:
        """The lender `name` was asked for these by somebody else a moment ago, and has none of them."""
        self._lacking[name] = self._lacking.get(name, frozenset()) | frozenset(layers)

    def find(self, layers: Sequence[LockedLayer]) -> dict[Digest, Lender]:
        """Which of `layers` can be had, by asking for their lengths; another length is no such layer."""
        found: dict[Digest, Lender] = {}
        for lender in self.lenders:
            wanted = list({layer.digest: layer for layer in layers if layer.digest not in found}.values())
            if wanted:
                found |= dict.fromkeys(self._asked(lender, wanted), lender)
        return found

    def fetch(
        self, layers: Sequence[LockedLayer], where: Mapping[Digest, Lender], progress: Progress
    ) -> frozenset[Digest]:
        """Put these layers into the store; which of them have come, each checked by its digest.

        Raises DigestMismatch for other bytes, StoreError.
        """
        once = sorted({layer.digest: layer for layer in layers}.values(), key=lambda one: -one.size_bytes)
        with ThreadPoolExecutor(_FETCHED_AT_ONCE, thread_name_prefix="take") as pool:
            came = pool.map(lambda layer: self._fetch(layer, where[layer.digest], progress), once)
            return frozenset(layer.digest for layer, there in zip(once, came, strict=True) if there)

    def explain(self, error: FetchFailed) -> FetchFailed:
        """`error`, which says why a layer cannot be made, with what the lenders said."""
        if not self.tried:
            return error
        said = "; ".join(f"{name} {clause}" for name, clause in self.tried.items())
        return FetchFailed(f"{error.message}; {said}", place=error.place, hints=error.hints)

    def _asked(self, lender: Lender, layers: Sequence[LockedLayer]) -> list[Digest]:
        def is_there(layer: LockedLayer) -> bool:
            return lender.registry.blob_size_bytes(lender.repository, layer.digest) == layer.size_bytes

        lacking = self._lacking.get(lender.name, frozenset())
        asked = [layer for layer in layers if layer.digest not in lacking]
        try:
            # The first alone: a registry that refuses us is asked once.
            there = [is_there(layer) for layer in asked[:1]]
            with ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="head") as pool:
                there += pool.map(is_there, asked[1:])
        except FetchFailed as error:
            self._give_up(lender, error)
            return []
        if missing := len(layers) - there.count(True):
            self.tried[lender.name] = f"lacks {missing} of the {len(layers)} locked layers it was asked for"
        return [layer.digest for layer, known in zip(asked, there, strict=True) if known]

    def _fetch(self, layer: LockedLayer, lender: Lender, progress: Progress) -> bool:
        blob = Descriptor(media_type=MEDIA_LAYER_GZIP, digest=layer.digest, size_bytes=layer.size_bytes)
        try:
            fetch_blob(lender.registry, lender.repository, blob, self.store, progress)
        except DigestMismatch:
            raise
        except FetchFailed as error:
            self._give_up(lender, error)
            return False
        return True

    def _give_up(self, lender: Lender, error: FetchFailed) -> None:
        if lender.name not in self.tried:
            self.warn(f"no layers are taken from {lender.name}: {error.message}")
        self.tried[lender.name] = f"lends nothing: {error.message}"


def parse_lender(text: str) -> Reference:
    """`HOST/REPOSITORY`. Raises UsageError."""
    try:
        reference = Reference.parse(text)
    except ValueError as error:
        raise UsageError(
            f"`{text}` is no repository to take layers from: {error}",
            hints=("lading build --layers-from registry.example/team/digits",),
        ) from None
    if reference.tag is not None or reference.digest is not None:
        raise UsageError(
            f"`{text}` names an image; layers are taken from its repository, by the digests in the lock",
            hints=(f"lading build --layers-from {reference.name}",),
        )
    return reference


@contextlib.contextmanager
def open_lenders(
    names: Sequence[str],
    store: Store,
    environment: Mapping[str, str],
    *,
    offline: bool,
    warn: Callable[[str], None],
) -> Iterator[Lenders]:
    """The repositories `names`, each once; none when offline. Raises UsageError."""
    references = {reference.name: reference for reference in map(parse_lender, names)}
    with contextlib.ExitStack() as held:
        registries: dict[str, Registry] = {}
        for name in {reference.registry for reference in references.values()} if not offline else ():
            registries[name] = held.enter_context(open_registry(name, store, environment))
        yield Lenders(
            lenders=tuple(
                Lender(registry=registries[reference.registry], repository=reference.repository)
                for reference in references.values()
                if reference.registry in registries
            ),
            store=store,
            warn=warn,
        )
