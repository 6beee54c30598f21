"""The tables of a lock become its values, strictly: what is missing, left over or of another kind is damage.

Pure. The other direction is `lockfile.lock_document`; a field stands in both or in neither.
"""

from __future__ import annotations

import re

from lading.lock.model import (
    LOCK_FORMAT,
    AddedPackage,
    Lock,
    LockedBase,
    LockedBaseLayer,
    LockedBuild,
    LockedCuda,
    LockedInterpreter,
    LockedLayer,
    LockedPackage,
    LockedSource,
    LockedSuite,
    LockedVariant,
    LockedWheel,
    TargetSelection,
)
from lading.lock.table import Damage, Table
from lading.oci.digest import DiffId, Digest


def parse_lock(table: Table) -> Lock:
    """Raises Damage, which names the table or key at fault."""
    if table.number("format") != LOCK_FORMAT:
        raise Damage("lock.format", f"{LOCK_FORMAT} is expected")
    lock = Lock(
        inputs=table.hexadecimal("inputs"),
        suites=tuple(_suite(one) for one in table.tables("suite")),
        variants=tuple(_variant(one) for one in table.tables("variant")),
        layers=tuple(_layer(one) for one in table.tables("layer")),
    )
    table.end()
    _check_layers(lock.layers)
    return lock


def _check_layers(layers: tuple[LockedLayer, ...]) -> None:
    """One digest is one layer: with another diff ID, size or kind beside it, somebody has written it there.

    Layers of no files are the same bytes, whatever they are of.
    """
    known: dict[Digest, LockedLayer] = {}
    for number, layer in enumerate(layers):
        other = known.setdefault(layer.digest, layer)
        if (other.diff_id, other.size_bytes) != (layer.diff_id, layer.size_bytes):
            raise Damage(
                f"lock.layer[{number}].digest", "another layer has it too, with another diff ID or size"
            )
        if other.kind != layer.kind and not {other.kind, layer.kind} <= _MAY_BE_EMPTY:
            raise Damage(f"lock.layer[{number}].digest", f"a layer of kind {other.kind} has it too")


def _suite(table: Table) -> LockedSuite:
    suite = LockedSuite(
        suite=table.text("suite"),
        codename=table.text("codename"),
        date=table.text("date"),
        release_sha256=table.hexadecimal("release_sha256"),
    )
    table.end()
    return suite


def _variant(table: Table) -> LockedVariant:
    variant = LockedVariant(
        accelerator=table.text("accelerator"),
        platform=table.text("platform"),
        interpreter=_interpreter(table.table("interpreter")),
        packages=tuple(_package(one) for one in table.tables("package")),
        wheels=tuple(_wheel(one) for one in table.tables("wheel")),
        targets={name: _selection(one) for name, one in table.named_tables("target").items()},
        added=tuple(_added(one) for one in table.tables("added")),
        base=_base(table.table("base")) if table.has("base") else None,
        builds=tuple(_build(one) for one in table.tables("build")),
        build_packages=tuple(_package(one) for one in table.tables("build_package")),
    )
    table.end()
    if unknown := {one.name for one in variant.added} - {package.name for package in variant.packages}:
        raise Damage(f"{table.path}.added", f"package {min(unknown)} is not in the variant")
    for target, selection in variant.targets.items():
        for kind, names, held in (
            ("wheel", selection.wheels, {wheel.name for wheel in variant.wheels}),
            ("package", selection.packages, {package.name for package in variant.packages}),
        ):
            if unknown := set(names) - held:
                raise Damage(f"{table.path}.target.{target}", f"{kind} {min(unknown)} is not in the variant")
    return variant


def _build(table: Table) -> LockedBuild:
    build = LockedBuild(
        name=table.text("name"),
        version=table.text("version"),
        sha256=table.hexadecimal("sha256") if table.has("sha256") else None,
        isolation=table.text("isolation"),
        source=_source(table.table("source")),
        backend=table.text("backend"),
        backend_path=table.texts("backend_path"),
        wheels=tuple(_wheel(one) for one in table.tables("wheel")),
    )
    table.end()
    return build


_MAY_BE_EMPTY = frozenset({"bytecode", "step"})
_SOURCE_KINDS = ("sdist", "url", "git", "path", "project")


def _source(table: Table) -> LockedSource:
    source = LockedSource(
        kind=table.text("kind"),
        location=table.text("location"),
        digest=table.text("digest"),
        url=table.optional_text("url"),
        reference=table.optional_text("reference"),
        subdirectory=table.optional_text("subdirectory"),
    )
    table.end()
    if source.kind not in _SOURCE_KINDS:
        raise Damage(f"{table.path}.kind", f"one of {', '.join(_SOURCE_KINDS)} is expected")
    if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", source.digest) is None:
        raise Damage(f"{table.path}.digest", "40 or 64 lower-case hex digits are expected")
    return source


def _interpreter(table: Table) -> LockedInterpreter:
    interpreter = LockedInterpreter(
        provider=table.text("provider"),
        version=table.text("version"),
        build=table.text("build"),
        executable=table.text("executable"),
        packages=table.texts("packages"),
        url=table.optional_text("url"),
        sha256=table.hexadecimal("sha256") if table.has("sha256") else None,
        size_bytes=table.number("size_bytes") if table.has("size_bytes") else None,
    )
    table.end()
    return interpreter


def _base(table: Table) -> LockedBase:
    base = LockedBase(
        reference=table.text("reference"),
        digest=Digest(table.digest("digest")),
        layers=tuple(_base_layer(one) for one in table.tables("layer")),
        environment=table.text("environment"),
        env=table.text_table("env"),
        distribution=table.text("distribution"),
        glibc_minor=table.number("glibc_minor"),
        held=table.text_table("held"),
    )
    table.end()
    return base


def _base_layer(table: Table) -> LockedBaseLayer:
    layer = LockedBaseLayer(
        digest=Digest(table.digest("digest")),
        diff_id=DiffId(table.digest("diff_id")),
        size_bytes=table.number("size_bytes"),
        media_type=table.text("media_type"),
    )
    table.end()
    return layer


def _package(table: Table) -> LockedPackage:
    package = LockedPackage(
        name=table.text("name"),
        version=table.text("version"),
        architecture=table.text("architecture"),
        filename=table.text("filename"),
        sha256=table.hexadecimal("sha256"),
        size_bytes=table.number("size_bytes"),
        suite=table.text("suite"),
        role=table.text("role"),
    )
    table.end()
    return package


def _added(table: Table) -> AddedPackage:
    added = AddedPackage(
        name=table.text("name"), because=table.text("because"), targets=table.texts("targets")
    )
    table.end()
    return added


def _wheel(table: Table) -> LockedWheel:
    wheel = LockedWheel(
        name=table.text("name"),
        version=table.text("version"),
        filename=table.text("filename"),
        sha256=table.hexadecimal("sha256"),
        size_bytes=table.number("size_bytes"),
        url=table.optional_text("url"),
    )
    table.end()
    if "/" in wheel.filename or not wheel.filename.endswith(".whl"):
        raise Damage(f"{table.path}.filename", "a wheel's file name is expected")
    return wheel


def _selection(table: Table) -> TargetSelection:
    selection = TargetSelection(
        wheels=table.texts("wheels"),
        packages=table.texts("packages"),
        cuda=_cuda(table.table("cuda")) if table.has("cuda") else None,
    )
    table.end()
    return selection


def _cuda(table: Table) -> LockedCuda:
    cuda = LockedCuda(
        version=table.text("version"),
        driver=table.text("driver"),
        full_driver=table.optional_text("full_driver"),
        capabilities=table.texts("capabilities"),
    )
    table.end()
    return cuda


def _layer(table: Table) -> LockedLayer:
    layer = LockedLayer(
        key=table.hexadecimal("key"),
        kind=table.text("kind"),
        digest=Digest(table.digest("digest")),
        diff_id=DiffId(table.digest("diff_id")),
        size_bytes=table.number("size_bytes"),
    )
    table.end()
    return layer
