"""The packages of an image against a database of advisories. Pure.

Python packages are PyPI's, Debian's are judged by source package: that is what its advisories name. One flaw
with several records (aliases) is one finding.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lading.inspect.explain.explanation import Explanation, shown
from lading.inspect.explain.packages import Package
from lading.inspect.scan.advisories import Advisory, Affected, Database, normal_name
from lading.inspect.scan.affected import SCHEMES, Scheme, fixed_version, is_affected
from lading.inspect.scan.cvss import LEVELS, base_score, level_of
from lading.inspect.scan.model import Check, Finding

UNKNOWN = "unknown"
_SOURCE = re.compile(r"([^\s(]+)(?:\s+\(([^)]+)\))?")
_CODENAMES = {
    "buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14",
}  # fmt: skip
_WORDS = {"moderate": "medium", "important": "high", "minor": "low"}
_HARMLESS = ("unimportant", "negligible")
"""Words of Debian and Ubuntu for what is no danger as they build it, whatever its vector says."""
_RANKS = ("CVE-", "GHSA-", "PYSEC-", "DSA-", "DLA-", "USN-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What advisories speak of: `glibc` of Debian:12, for the Debian package libc6."""

    ecosystem: str
    name: str
    version: str
    held_as: tuple[str, ...]
    """Names of the packages in the image."""

    @property
    def scheme(self) -> Scheme:
        return SCHEMES[self.ecosystem.partition(":")[0]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    judged: tuple[Subject, ...]
    unjudged: Mapping[str, int]
    """Why packages are not judged → how many."""


def find_subjects(explanation: Explanation) -> Subjects:
    held: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    unjudged: dict[str, int] = defaultdict(int)
    release = explanation.image.os_release
    system = _system(release)
    kinds = {package.kind for package in explanation.packages.packages if not package.gone}
    if release.get("ID") and not kinds & {"deb", "apk", "rpm"}:
        unjudged[f"packages of {shown(release['ID'])}, of which the image has no records"] = 1
    for package in explanation.packages.packages:
        if package.gone:
            continue
        if package.kind == "python":
            held["PyPI", package.name, package.version].add(package.name)
        elif package.kind == "deb" and system:
            name, version = source_of(package)
            held[system, name, version].add(package.name)
        elif package.kind == "deb":
            unjudged["Debian packages of a release that os-release does not tell"] += 1
        elif package.kind == "apk":
            unjudged["Alpine packages"] += 1
        elif package.kind == "rpm":
            unjudged["RPM packages"] += 1
    for name, version in _conda_distributions(explanation):
        held["PyPI", name, version].add(name)
    judged = tuple(
        Subject(ecosystem=ecosystem, name=name, version=version, held_as=tuple(sorted(names)))
        for (ecosystem, name, version), names in sorted(held.items())
    )
    return Subjects(judged=judged, unjudged=dict(unjudged))


def source_of(package: Package) -> tuple[str, str]:
    """Name and version of a Debian package's source."""
    match = _SOURCE.match(package.details.get("source", ""))
    if match is None:
        return package.name, package.version
    return match[1], match[2] or package.version


def _system(release: Mapping[str, str]) -> str:
    """`Debian:12`, `Ubuntu:24.04`; empty where the image does not say."""
    number = release.get("VERSION_ID") or _CODENAMES.get(release.get("VERSION_CODENAME", ""), "")
    system = {"debian": "Debian", "ubuntu": "Ubuntu"}.get(release.get("ID", ""))
    return f"{system}:{number}" if system and number else ""


def _conda_distributions(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Python packages that conda installed: their records are conda's, their flaws PyPI's."""
    for number, layer in enumerate(explanation.image.layers):
        for path, document in layer.documents.items():
            where, owner = explanation.merged.seen.get(path), explanation.packages.owner(path)
            seen = where is not None and where.layer == number
            if seen and document["kind"] == "dist" and owner is not None and owner.kind == "conda":
                yield normal_name(document["name"]), document["version"]


def find_vulnerabilities(
    subjects: Subjects, database: Database, chances: Mapping[str, float]
) -> Iterator[Finding]:
    """`chances`: EPSS by CVE."""
    index: dict[tuple[str, str], list[tuple[Advisory, Affected]]] = defaultdict(list)
    for advisory in database.advisories:
        for entry in advisory.affected:
            index[_ecosystem(entry.ecosystem), normal_name(entry.name)].append((advisory, entry))
    for subject in subjects.judged:
        known = index.get((subject.ecosystem, normal_name(subject.name)), [])
        hits = [pair for pair in known if is_affected(pair[1], subject.version, subject.scheme)]
        for group in _groups(hits):
            yield _finding(subject, group, chances)


def _ecosystem(text: str) -> str:
    """`Ubuntu:24.04:LTS` is Ubuntu:24.04; `Ubuntu:Pro:…` stays apart."""
    return text.removesuffix(":LTS")


def uncovered(subjects: Subjects, database: Database) -> dict[str, int]:
    """Ecosystem of the image that the database has nothing of → how many packages."""
    covered = {_ecosystem(text) for text in database.ecosystems}
    found: dict[str, int] = defaultdict(int)
    for subject in subjects.judged:
        if subject.ecosystem not in covered:
            found[subject.ecosystem] += 1
    return dict(found)


def _groups(hits: Iterable[tuple[Advisory, Affected]]) -> list[list[tuple[Advisory, Affected]]]:
    """Records of one flaw together. A notice of several flaws goes when each has a record of its own."""
    groups: list[tuple[set[str], list[tuple[Advisory, Affected]]]] = []
    notices = []
    for advisory, entry in hits:
        if len(advisory.upstream) > 1:
            notices.append((advisory, entry))
            continue
        ids = {advisory.id, *advisory.aliases, *advisory.upstream}
        members = [(advisory, entry)]
        apart = []
        for other_ids, others in groups:
            if ids & other_ids:
                ids, members = ids | other_ids, [*others, *members]
            else:
                apart.append((other_ids, others))
        groups = [*apart, (ids, members)]
    told = set().union(*(ids for ids, _ in groups)) if groups else set()
    left = [[notice] for notice in notices if not told.issuperset(notice[0].upstream)]
    return [members for _, members in groups] + left


def _finding(
    subject: Subject, group: list[tuple[Advisory, Affected]], chances: Mapping[str, float]
) -> Finding:
    ids = {one for advisory, _ in group for one in (advisory.id, *advisory.aliases, *advisory.upstream)}
    shown = sorted(ids, key=_rank)
    fixed = [
        found
        for _, entry in group
        if (found := fixed_version(entry, subject.version, subject.scheme)) is not None
    ]
    level, score = _severity(group)
    chance = max((chances[one] for one in ids if one in chances), default=None)
    summary = next((advisory.summary for advisory, _ in group if advisory.summary), "")
    newest = max(fixed, key=subject.scheme.key) if fixed else None
    return Finding(
        check=Check.VULNERABILITIES,
        id=shown[0],
        message=summary or "no summary",
        package=subject.name,
        version=subject.version,
        details={
            "ecosystem": subject.ecosystem,
            "aliases": shown[1:],
            "severity": level,
            "score": score,
            "fixed": newest,
            "epss": chance,
            "packages": list(subject.held_as),
        },
    )


def _rank(one: str) -> tuple[int, str]:
    return next((number for number, start in enumerate(_RANKS) if one.startswith(start)), len(_RANKS)), one


def _severity(group: list[tuple[Advisory, Affected]]) -> tuple[str, float | None]:
    """The worst score of a vector; else the worst word; a malicious package is critical by itself."""
    if any(advisory.id.startswith("MAL-") for advisory, _ in group):
        return "critical", None
    vectors = [
        score
        for advisory, entry in group
        for _, text in (entry.severities or advisory.severities)
        if (score := base_score(text)) is not None
    ]
    words = [
        _WORDS.get(word, word)
        for advisory, entry in group
        for word in (
            advisory.level,
            entry.urgency,
            *(text.lower() for _, text in (entry.severities or advisory.severities)),
        )
    ]
    if any(entry.urgency in _HARMLESS for _, entry in group):
        return "low", max(vectors, default=None)
    known = [word for word in words if word in LEVELS]
    if vectors:
        return level_of(max(vectors)), max(vectors)
    return (max(known, key=LEVELS.index), None) if known else (UNKNOWN, None)
