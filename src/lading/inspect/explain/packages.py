"""The packages of an image and whose each file is, from records of dpkg, RPM, conda, wheels and apk. Pure.

A file belongs to the first of dpkg, conda, apk, RPM and Python that lists it. A Python distribution whose
records a system package owns is that package's. Packages that a later layer deleted own what is left of them
below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lading.inspect.image.merge import Merged
from lading.inspect.image.model import ImageEvidence
from lading.oci.links import resolve_links

_PYC = re.compile(r"^(?P<folder>.*?)(?:^|(?<=/))__pycache__/(?P<stem>[^/]+?)\.[^./]+(?:\.opt-\d)?\.pyc$")
_MOST_LINKS = 40
_CONTROL_FILES = (
    *("list", "md5sums", "shlibs", "symbols", "triggers", "conffiles", "templates"),
    *("preinst", "postinst", "prerm", "postrm", "config"),
)
"""Of `var/lib/dpkg/info/PACKAGE.`."""
_DEPENDENCY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    kind: str
    """`deb`, `rpm`, `conda`, `apk`, `python`."""
    name: str
    version: str
    requires: tuple[str, ...] = ()
    """Names of packages of the same kind that are there."""
    details: Mapping[str, Any]
    gone: bool = False
    """A later layer deleted its records."""

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    packages: tuple[Package, ...]
    owners: Mapping[str, Package]
    """By path, links in it resolved."""

    def owner(self, path: str) -> Package | None:
        found = self.owners.get(path)
        if found is None and (match := _PYC.match(path)):
            found = self.owners.get(f"{match['folder']}{match['stem']}.py")
        return found

    def required_by(self, package: Package) -> tuple[Package, ...]:
        return tuple(p for p in self.packages if p.kind == package.kind and package.name in p.requires)


def find_packages(image: ImageEvidence, merged: Merged) -> Packages:
    seen = dict(_documents(image, merged, gone=False))
    hidden = dict(_documents(image, merged, gone=True))
    claims = _Claims(merged)
    for gone, documents in ((False, seen), (True, hidden)):
        claims.system(documents, gone=gone)
        claims.others(documents, gone=gone)
        claims.python(documents, image, gone=gone)
    return Packages(packages=tuple(_linked(claims.packages, image)), owners=claims.owners)


def _documents(
    image: ImageEvidence, merged: Merged, *, gone: bool
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, layer in enumerate(image.layers):
        for path, document in layer.documents.items():
            where = merged.seen.get(path)
            is_seen = where is not None and where.layer == number
            if is_seen != gone:
                yield path, document


class _Claims:
    def __init__(self, merged: Merged) -> None:
        self.packages: list[Package] = []
        self.owners: dict[str, Package] = {}
        self._merged = merged
        self._folders: dict[str, str] = {}

    def system(self, documents: Mapping[str, Mapping[str, Any]], *, gone: bool) -> None:
        lists = {d["package"]: d["files"] for d in documents.values() if d["kind"] == "dpkg-list"}
        known = {(p.name, p.version) for p in self.packages if p.kind == "deb"}
        for document in documents.values():
            for fields in document["packages"] if document["kind"] == "dpkg-status" else ():
                name, version = fields["package"], fields["version"]
                if (name, version) in known:
                    continue
                known.add((name, version))
                package = Package(kind="deb", name=name, version=version, details=fields, gone=gone)
                files = lists.get(f"{name}:{fields.get('architecture')}") or lists.get(name) or ()
                self._add(package, files)
                if files:
                    self._own_records(package)

    def _own_records(self, package: Package) -> None:
        for stem in (package.name, f"{package.name}:{package.details.get('architecture')}"):
            for ending in _CONTROL_FILES:
                self.owners.setdefault(f"var/lib/dpkg/info/{stem}.{ending}", package)

    def others(self, documents: Mapping[str, Mapping[str, Any]], *, gone: bool) -> None:
        for path, document in documents.items():
            if document["kind"] == "conda":
                package = Package(
                    kind="conda",
                    name=document["name"],
                    version=document["version"],
                    details=_slim(document),
                    gone=gone,
                )
                self._add(package, [*document["files"], path])
            for fields in document["packages"] if document["kind"] == "apk" else ():
                package = Package(
                    kind="apk", name=fields["P"], version=fields["V"], details=_slim(fields), gone=gone
                )
                self._add(package, fields["files"])
            for fields in document["packages"] if document["kind"] == "rpm" else ():
                package = Package(
                    kind="rpm",
                    name=fields["name"],
                    version=fields["version"],
                    details=_slim(fields),
                    gone=gone,
                )
                self._add(package, fields["files"])

    def python(self, documents: Mapping[str, Mapping[str, Any]], image: ImageEvidence, *, gone: bool) -> None:
        for path, document in documents.items():
            if document["kind"] != "dist" or self._path(path) in self.owners:
                continue
            folder = path.rpartition("/")[0]
            record = documents.get(f"{folder}/RECORD") or documents.get(f"{folder}/installed-files.txt") or {}
            package = Package(
                kind="python",
                name=re.sub(r"[-_.]+", "-", document["name"]).lower(),
                version=document["version"],
                details={**document, "folder": folder},
                gone=gone,
            )
            self._add(package, [*record.get("files", ()), path])

    def _add(self, package: Package, files: Any) -> None:
        self.packages.append(package)
        for file in files:
            self.owners.setdefault(self._path(file), package)

    def _path(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            left = [_MOST_LINKS]

            def link_at(place: str) -> str | None:
                target = self._merged.links.get(place)
                left[0] -= target is not None
                return target if left[0] > 0 else None

            self._folders[folder] = resolve_links(folder, link_at)
        folder = self._folders[folder]
        return f"{folder}/{name}" if folder else name


def _slim(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "files"}


def _linked(packages: list[Package], image: ImageEvidence) -> Iterator[Package]:
    from dataclasses import replace

    names: dict[str, set[str]] = {}
    provides: dict[str, dict[str, str]] = {"deb": {}, "apk": {}, "rpm": {}}
    for package in packages:
        names.setdefault(package.kind, set()).add(package.name)
        for word in _provided(package):
            provides[package.kind].setdefault(word, package.name)
    for package in packages:
        found = dict.fromkeys(
            known
            for word in _required(package, image.platform)
            if (known := word if word in names[package.kind] else provides.get(package.kind, {}).get(word))
            and known != package.name
        )
        yield replace(package, requires=tuple(found))


def _provided(package: Package) -> Iterator[str]:
    if package.kind == "deb":
        yield from _DEPENDENCY.findall(re.sub(r"\([^)]*\)", "", package.details.get("provides", "")))
    elif package.kind == "apk":
        yield from (word.partition("=")[0] for word in package.details.get("p", "").split())
    elif package.kind == "rpm":
        yield from package.details.get("provides", ())


def _required(package: Package, platform: str) -> Iterator[str]:
    details = package.details
    if package.kind == "deb":
        words = ",".join(details.get(key, "") for key in ("pre-depends", "depends"))
        for clause in re.sub(r"\([^)]*\)|:[a-z0-9-]+|\[[^]]*\]", "", words).replace("|", ",").split(","):
            if clause.strip():
                yield clause.strip()
    elif package.kind == "conda":
        yield from (words.split()[0] for words in details.get("requires", ()) if words.split())
    elif package.kind == "apk":
        yield from (re.split(r"[<>=~]", word)[0] for word in details.get("D", "").split())
    elif package.kind == "rpm":
        yield from details.get("requires", ())
    else:
        yield from _python_requires(details, platform)


def _python_requires(details: Mapping[str, Any], platform: str) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    match = re.search(r"python(\d+\.\d+)/", details.get("folder", ""))
    version = match[1] if match else "3.12"
    environment = {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": "aarch64" if platform.endswith("arm64") else "x86_64",
        "python_version": version,
        "python_full_version": f"{version}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    for text in details.get("requires", ()):
        try:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(environment):
                yield canonicalize_name(requirement.name)
        except (InvalidRequirement, ValueError, KeyError):
            continue
