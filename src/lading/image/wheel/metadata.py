"""METADATA and WHEEL against the file name: is this the wheel that was asked for?

Pure. Knows the core metadata and wheel specifications; must not know archives or where files go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from lading.image.wheel.rules import Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelName:
    """What the file name says."""

    name: str
    """Normalized (PEP 503)."""
    version: Version
    tags: frozenset[Tag]


def parse_filename(judge: Judge) -> WheelName:
    """Raises WheelRefused for a file name that no wheel may have."""
    try:
        name, version, _, tags = parse_wheel_filename(judge.filename)
    except (InvalidWheelFilename, InvalidVersion, ValueError) as error:
        judge.refuse("filename-invalid", str(error))
    return WheelName(name=str(name), version=version, tags=tags)


def find_dist_info(names: Iterable[str], wheel: WheelName, judge: Judge) -> str:
    """The stem of the one .dist-info folder (`torch-2.13.0`). Raises WheelRefused."""
    tops = {name.partition("/")[0] for name in names if "/" in name}
    found = sorted(top for top in tops if top.lower().endswith(".dist-info"))
    if len(found) != 1:
        judge.refuse(
            "dist-info-count", f"it has {len(found)} .dist-info folders: {', '.join(found) or 'none'}"
        )
    stem = found[0][: -len(".dist-info")]
    name, _, version = stem.rpartition("-")
    if canonicalize_name(name) != wheel.name or not _same_version(version, wheel.version):
        judge.object_to("dist-info-name", f"its folder is {found[0]}, for {wheel.name} {wheel.version}")
    data = sorted(top for top in tops if top.lower().endswith(".data") and top != f"{stem}.data")
    if data:
        judge.refuse("data-directory-name", f"installers disagree about {data[0]}", member=data[0])
    return stem


def _same_version(text: str, version: Version) -> bool:
    try:
        return Version(text) == version
    except InvalidVersion:
        return False


def read_headers(raw: bytes, member: str, judge: Judge) -> dict[str, list[str]]:
    """The header fields by lower-case name. Raises WheelRefused when they are no UTF-8."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        judge.refuse("metadata-syntax", f"it is not UTF-8: {error}", member=member)
    fields: dict[str, list[str]] = {}
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if not line:
            break
        if line[0] in " \t":
            continue
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.lower(), []).append(value.strip())
    return fields


def _single(fields: dict[str, list[str]], key: str, member: str, judge: Judge) -> str:
    values = set(fields.get(key.lower(), ()))
    if len(values) != 1:
        judge.refuse("metadata-syntax", f"it has {len(values)} values for {key}", member=member)
    return values.pop()


def check_metadata(raw: bytes, member: str, wheel: WheelName, judge: Judge) -> None:
    """METADATA's Name and Version are those of the file name. Raises WheelRefused."""
    fields = read_headers(raw, member, judge)
    name = _single(fields, "Name", member, judge)
    if canonicalize_name(name) != wheel.name:
        judge.refuse("metadata-name", f"it names {name!r}, the file name says {wheel.name!r}", member=member)
    version = _single(fields, "Version", member, judge)
    if _same_version(version, wheel.version):
        return
    if wheel.version.local is None or not _same_version(version, Version(wheel.version.public)):
        judge.refuse(
            "metadata-version", f"it gives version {version}, the file name {wheel.version}", member=member
        )
    judge.warn(
        "metadata-local-version", f"it gives version {version} without +{wheel.version.local}", member=member
    )


def check_wheel_file(raw: bytes, member: str, wheel: WheelName, judge: Judge) -> bool:
    """WHEEL's format version and tags. Returns whether the wheel calls itself pure. Raises WheelRefused."""
    fields = read_headers(raw, member, judge)
    version = _single(fields, "Wheel-Version", member, judge)
    if version.partition(".")[0] != "1":
        judge.refuse("wheel-version", f"its format is {version!r}; lading reads 1.x", member=member)
    tags: set[Tag] = set()
    for value in fields.get("tag", ()):
        if value.count("-") != 2:
            judge.refuse("metadata-syntax", f"its tag {value!r} is none", member=member)
        tags |= parse_tag(value)
    if tags != wheel.tags:
        _object_to_tags(tags, member, wheel, judge)
    return bool(_single(fields, "Root-Is-Purelib", member, judge).lower() == "true")


def _object_to_tags(tags: set[Tag], member: str, wheel: WheelName, judge: Judge) -> None:
    """Renaming linux_ARCH to manylinux_ARCH after the build is common and harmless; the rest is not."""
    shown = ", ".join(sorted(map(str, tags))) or "none"
    detail = f"its tags are {shown}, the file name says {', '.join(sorted(map(str, wheel.tags)))}"
    if {_generic(tag) for tag in tags} == {_generic(tag) for tag in wheel.tags}:
        judge.warn("wheel-tags-relabelled", detail, member=member)
    else:
        judge.object_to("wheel-tags", detail, member=member)


def _generic(tag: Tag) -> tuple[str, str, str]:
    platform = tag.platform
    if platform.startswith(("manylinux", "linux_")):
        for architecture in ("x86_64", "aarch64", "i686", "ppc64le", "s390x", "armv7l", "riscv64"):
            if platform.endswith(architecture):
                platform = f"linux_{architecture}"
    return tag.interpreter, tag.abi, platform
