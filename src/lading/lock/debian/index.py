"""Fetches one suite's signed Release and its Packages index, believing nothing that was not checked.

Thin. Keeps under the store's `mirror/`: the last accepted InRelease of each suite (so that an older one is
known for a rollback, and so that `--offline` works) and each index in reduced form, by the digest that the
signed Release names. Order: size, digest, then decompression with a limit, then parsing.
"""

from __future__ import annotations

import datetime
import hashlib
import lzma
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lading.errors import DigestMismatch, FetchFailed, SignatureRefused
from lading.lock.debian.clearsign import split_clearsigned
from lading.lock.debian.contents import LibraryIndex, reduce_contents
from lading.lock.debian.packages import SuiteIndex, reduce_index
from lading.lock.debian.release import LastSeen, Release, ReleaseFile, check_release, parse_release
from lading.lock.debian.signature import keyring_path, verify_signature
from lading.lock.debian.transport import MirrorReader
from lading.lock.model import LockedSuite
from lading.store import Store
from lading.store.atomic import store_errors, write_atomic

_RELEASE_LIMIT_BYTES = 8 << 20
_INDEX_LIMIT_BYTES = 512 << 20
"""Of a Packages index once decompressed; the largest of the archive's has 60 MB."""
_XZ_MEMORY_BYTES = 256 << 20
_GENERATIONS = 3
"""How often a Release is fetched again when its index is not there yet or not any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRequest:
    """What to read, and how strictly."""

    suite: str
    mirror: str
    architecture: str
    component: str = "main"
    allow_expired: bool = False
    offline: bool = False

    @property
    def root(self) -> str:
        return f"{self.mirror}/dists/{self.suite}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedSuite:
    request: SuiteRequest
    release: Release
    locked: LockedSuite
    index: SuiteIndex
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Accepted:
    content: bytes
    release: Release
    warnings: tuple[str, ...]


class _NotThereYet(Exception):
    """The mirror does not hold what its own Release names: it is in the middle of an update."""


def fetch_suite(
    request: SuiteRequest,
    *,
    reader: MirrorReader,
    store: Store,
    environment: Mapping[str, str],
    now: datetime.datetime,
) -> FetchedSuite:
    """Raises FetchFailed, SignatureRefused, DigestMismatch."""
    for generation in range(1, _GENERATIONS + 1):
        accepted = _accept_release(request, reader, store, environment, now)
        try:
            texts = [
                _read_index(request, accepted.release, path, reader, store)
                for path in _indexes(request, accepted.release)
            ]
        except _NotThereYet as error:
            if generation == _GENERATIONS or request.offline:
                raise DigestMismatch(
                    f"{request.root} does not hold the index that its signed Release names: {error}",
                    place=request.root,
                    hints=("try again in some minutes: the mirror may be in the middle of an update",),
                ) from None
            continue
        return FetchedSuite(
            request=request,
            release=accepted.release,
            locked=LockedSuite(
                suite=request.suite,
                codename=accepted.release.codename,
                date=accepted.release.date,
                release_sha256=hashlib.sha256(accepted.content).hexdigest(),
            ),
            index=SuiteIndex(request.suite, b"\n".join(texts)),
            warnings=accepted.warnings,
        )
    raise AssertionError("the loop returns or raises")


def _accept_release(
    request: SuiteRequest,
    reader: MirrorReader,
    store: Store,
    environment: Mapping[str, str],
    now: datetime.datetime,
) -> _Accepted:
    name = f"{request.root}/InRelease"
    kept = _kept_release(store, request)
    last_content = _read_kept(kept)
    content = last_content if request.offline else reader.read(name, limit_bytes=_RELEASE_LIMIT_BYTES)
    if content is None and request.offline:
        raise FetchFailed(
            f"{name} was never fetched, and --offline forbids fetching it", place=name, hints=("lading lock",)
        )
    if content is None:
        raise SignatureRefused(
            f"{request.mirror} has no signed Release for {request.suite} (no InRelease)",
            place=name,
            hints=("export LADING_DEBIAN_MIRROR=URL   # of an archive that serves it",),
        )
    signed = split_clearsigned(content, name=name)
    verified = verify_signature(
        signed,
        name=name,
        keyring=keyring_path(environment),
        environment=environment,
        allow_expired=request.allow_expired,
    )
    release = parse_release(signed.text, name=name)
    warnings = check_release(
        release,
        codename=request.suite,
        now=now,
        last=_last_seen(last_content),
        name=name,
        allow_expired=request.allow_expired,
    )
    if verified.expired_key:
        warnings += (f"{name}: signed by a key that has expired; allowed on purpose (snapshot)",)
    if not request.offline and (not request.allow_expired or last_content is None):
        # A snapshot, allowed on purpose, must not become what later Releases are compared with.
        _keep(store, kept, content)
    return _Accepted(content=content, release=release, warnings=warnings)


def _last_seen(content: bytes | None) -> LastSeen | None:
    """Of an InRelease that was verified when it was kept; a damaged one counts as none."""
    if content is None:
        return None
    try:
        release = parse_release(
            split_clearsigned(content, name="the kept InRelease").text, name="the kept InRelease"
        )
    except SignatureRefused:
        return None
    return LastSeen(date=release.date, suite=release.suite, codename=release.codename)


def _kept_release(store: Store, request: SuiteRequest) -> Path:
    mirror = hashlib.sha256(request.mirror.encode()).hexdigest()[:16]
    return store.root / "mirror" / mirror / f"{request.suite}.InRelease"


def _read_kept(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _keep(store: Store, path: Path, content: bytes) -> None:
    with store_errors("keeping a package index", path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content, staging=store.staging)


def _indexes(request: SuiteRequest, release: Release) -> tuple[str, ...]:
    own = f"{request.component}/binary-{request.architecture}/Packages"
    return (own,) if release.all_in_each else (own, f"{request.component}/binary-all/Packages")


def _read_index(
    request: SuiteRequest, release: Release, path: str, reader: MirrorReader, store: Store
) -> bytes:
    """The index at `path` in reduced form: from the store, else by its digest, else by its name."""
    for suffix in (".xz", ".gz"):
        if (file := release.files.get(path + suffix)) is not None:
            break
    else:
        raise SignatureRefused(
            f"the signed Release of {request.suite} names no index {path}",
            place=f"{request.root}/InRelease",
            hints=("export LADING_DEBIAN_MIRROR=URL   # of an archive that serves this architecture",),
        )
    kept = store.root / "mirror" / "packages" / file.sha256
    reduced = _checked(_read_kept(kept))
    if reduced is None:
        packed = _fetch_index(request, release, path + suffix, file, reader)
        reduced = reduce_index(
            _decompress(packed, suffix, release.files.get(path), f"{request.root}/{path}{suffix}")
        )
        _keep(store, kept, hashlib.sha256(reduced).hexdigest().encode() + b"\n" + reduced)
    return reduced


def read_libraries(fetched: FetchedSuite, *, reader: MirrorReader, store: Store) -> LibraryIndex | None:
    """Which package ships which shared library, by the suite's signed Contents; None where it names none.

    Raises FetchFailed, DigestMismatch.
    """
    request, release = fetched.request, fetched.release
    path = f"{request.component}/Contents-{request.architecture}.gz"
    file = release.files.get(path)
    if file is None:
        return None
    kept = store.root / "mirror" / "libraries" / file.sha256
    reduced = _checked(_read_kept(kept))
    if reduced is None:
        try:
            packed = _fetch_index(request, release, path, file, reader)
        except _NotThereYet as error:
            raise DigestMismatch(
                f"{request.root} does not hold the index of contents that its signed Release names: {error}",
                place=request.root,
                hints=("try again in some minutes: the mirror may be in the middle of an update",),
            ) from None
        reduced = reduce_contents(packed, request.architecture, name=f"{request.root}/{path}")
        _keep(store, kept, hashlib.sha256(reduced).hexdigest().encode() + b"\n" + reduced)
    return LibraryIndex(reduced)


def _checked(content: bytes | None) -> bytes | None:
    """What a kept index holds after its own checksum; None where that does not fit."""
    if content is None:
        return None
    checksum, _, body = content.partition(b"\n")
    return body if hashlib.sha256(body).hexdigest().encode() == checksum else None


def _fetch_index(
    request: SuiteRequest, release: Release, path: str, file: ReleaseFile, reader: MirrorReader
) -> bytes:
    if file.size_bytes > _INDEX_LIMIT_BYTES:
        raise SignatureRefused(
            f"the index {path} is larger than {_INDEX_LIMIT_BYTES} bytes", place=request.root
        )
    if request.offline and not request.mirror.startswith("file:"):
        raise FetchFailed(
            f"the index of {request.suite} is not in the store, and --offline forbids fetching it",
            place=f"{request.root}/{path}",
            hints=("lading lock",),
        )
    by_hash = f"{request.root}/{path.rpartition('/')[0]}/by-hash/SHA256/{file.sha256}"
    problem = "it is absent"
    for url in ([by_hash] if release.by_hash else []) + [f"{request.root}/{path}"]:
        try:
            content = reader.read_exact(url, sha256=file.sha256, size_bytes=file.size_bytes)
        except DigestMismatch as error:
            problem = error.message
            continue
        except FetchFailed as error:
            if "larger than" not in error.message:
                raise
            problem = error.message
            continue
        if content is not None:
            return content
    raise _NotThereYet(problem)


def _decompress(packed: bytes, suffix: str, plain: ReleaseFile | None, name: str) -> bytes:
    """At most the signed size of the plain index (or the general limit), and exactly its signed digest."""
    limit_bytes = plain.size_bytes if plain is not None else _INDEX_LIMIT_BYTES
    limit_bytes = min(limit_bytes, _INDEX_LIMIT_BYTES)
    try:
        if suffix == ".xz":
            unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)
            text = unpacker.decompress(packed, limit_bytes + 1)
            ended = unpacker.eof
        else:
            inflater = zlib.decompressobj(wbits=31)
            text = inflater.decompress(packed, limit_bytes + 1)
            ended = inflater.eof
    except (lzma.LZMAError, zlib.error) as error:
        raise DigestMismatch(f"{name} cannot be decompressed: {error}", place=name) from error
    if len(text) > limit_bytes or not ended:
        raise DigestMismatch(f"{name} does not decompress to the {limit_bytes} bytes it may have", place=name)
    if plain is not None and (len(text), hashlib.sha256(text).hexdigest()) != (
        plain.size_bytes,
        plain.sha256,
    ):
        raise DigestMismatch(f"{name} does not decompress to the index that was signed", place=name)
    return text
