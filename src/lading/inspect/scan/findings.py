"""What the facts of layers mean for an image: whose a file is, and what later layers hide. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lading.inspect.explain.explanation import Explanation, shown
from lading.inspect.explain.packages import Package
from lading.inspect.image.model import Member, MemberKind, Where
from lading.inspect.scan.model import Check, Finding, LayerFacts

_EXAMPLES = re.compile(
    r"(?:^|/)(?:"
    r"(?:tests?|testing|test_?data|unittests?|fixtures?|mocks?|examples?|samples?|demos?|docs?"
    r"|[^/]+\.(?:dist|egg)-info)/"
    r"|(?:tests?|conftest|testing|testing_\w+|\w+_testing|test_\w+|\w+_tests?|examples?[\w-]*)\."
    r"(?:cpython-\d+\.(?:opt-\d\.)?pyc|py|json|ya?ml|md|rst|txt|ipynb)$"
    r")"
)
"""Places of a package where keys are samples: they sign nothing."""
_OWN_TESTS = re.compile(r"(?:^|/)lib/python3[^/]*/test/|^usr/share/doc/")
_BYTECODE = re.compile(r"(?P<folder>(?:.*/)?)__pycache__/(?P<module>[^/.]+)\.[^/.]+(?:\.opt-[^/.]+)?\.pyc")
_MOST_LINKS = 40
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def find_secrets(explanation: Explanation, layers: tuple[LayerFacts, ...]) -> Iterator[Finding]:
    """In every layer, hidden ones too; not in what packages bring as samples (see `sample_count`)."""
    samples = _samples(explanation, layers)
    for number, facts in enumerate(layers):
        members = _members(explanation, number, {spot.path for spot in facts.secrets})
        for spot in facts.secrets:
            if spot.path in samples:
                continue
            gone = explanation.merged.gone.get(members[spot.path]) if spot.path in members else None
            hidden = f"; {gone[0]} by layer {gone[1] + 1}, and everybody who pulls it has it" if gone else ""
            line = f":{spot.line}" if spot.line is not None else ""
            inside = f" (in {shown(spot.inside)}{line})" if spot.inside else ""
            yield Finding(
                check=Check.SECRETS,
                id="secret",
                message=f"{spot.what}{inside}{hidden}",
                path=spot.path,
                layer=number + 1,
                line=None if spot.inside else spot.line,
                package=_package_name(explanation, spot.path),
                details={"inside": spot.inside, "hidden": gone[0].value if gone else ""},
            )


def _samples(explanation: Explanation, layers: tuple[LayerFacts, ...]) -> set[str]:
    """Files that an installed package lists as its own, among its tests, examples or documents, as it brought
    them."""
    paths = {spot.path for facts in layers for spot in facts.secrets}
    samples = {
        path
        for path in paths
        if _OWN_TESTS.search(path)
        or (_EXAMPLES.search(path) is not None and explanation.packages.owner(path) is not None)
    }
    return samples - {finding.path for finding in find_altered(explanation)} if samples else samples


def sample_count(explanation: Explanation, layers: tuple[LayerFacts, ...]) -> int:
    samples = _samples(explanation, layers)
    return sum(spot.path in samples for facts in layers for spot in facts.secrets)


def find_altered(explanation: Explanation) -> Iterator[Finding]:
    """Files of wheels that are not what RECORD says. One that another wheel's RECORD names is that one's.

    Bytecode in `__pycache__` is written anew by installers and by Python itself: it is judged by its source.
    """
    promises = _promises(explanation)
    for path, known in promises.items():
        kept, where = _is_kept(explanation, promises, path)
        if kept or where is None:
            continue
        bytecode = _BYTECODE.fullmatch(path)
        if bytecode is not None:
            source = f"{bytecode['folder']}{bytecode['module']}.py"
            if _is_kept(explanation, promises, source)[0]:
                continue
        package = next(iter(known.values()))
        yield Finding(
            check=Check.ALTERED,
            id="altered",
            message=f"is not the file that {package.label} brought: its RECORD has another hash",
            path=path,
            layer=where.layer + 1,
            package=package.name,
            version=package.version,
        )


def _promises(explanation: Explanation) -> dict[str, dict[str, Package]]:
    """Path → hash that a RECORD has of it → whose RECORD; an empty hash promises nothing."""
    promises: dict[str, dict[str, Package]] = {}
    documents = _seen_documents(explanation)
    for package in explanation.packages.packages:
        if package.kind != "python" or package.gone:
            continue
        record = documents.get(f"{package.details['folder']}/RECORD")
        if record is not None:
            for path, promised in zip(record["files"], record["hashes"], strict=True):
                promises.setdefault(path, {}).setdefault(promised, package)
    return promises


def _is_kept(
    explanation: Explanation, promises: Mapping[str, Mapping[str, Package]], path: str
) -> tuple[bool, Where | None]:
    """Whether a file is there with a hash that was promised; and where it is, if a hash of it was."""
    known = promises.get(path, {})
    member, where = _file(explanation, path)
    if member is None or not known or "" in known:
        return False, None
    actual = member.sha256 or EMPTY_SHA256
    return base64.urlsafe_b64encode(bytes.fromhex(actual)).decode().rstrip("=") in known, where


def find_startup(explanation: Explanation, layers: tuple[LayerFacts, ...]) -> Iterator[Finding]:
    """Code that runs whenever Python starts. What the distribution itself brings is its interpreter's."""
    for number, facts in enumerate(layers):
        for path, words in facts.startup.items():
            where = explanation.merged.seen.get(path)
            owner = explanation.packages.owner(path)
            if where is None or where.layer != number or (owner is not None and owner.kind != "python"):
                continue
            yield Finding(
                check=Check.STARTUP,
                id="startup",
                message=f"{words}; {f'from {owner.label}' if owner else 'of no package'}",
                path=path,
                layer=number + 1,
                package=owner.name if owner else "",
                version=owner.version if owner else "",
            )


def find_setuid(explanation: Explanation, layers: tuple[LayerFacts, ...]) -> Iterator[Finding]:
    """Programs that run with other rights than who starts them."""
    able = {Where(n, index) for n, index in _able(explanation, layers)}
    for path, where in sorted(explanation.merged.seen.items()):
        member = explanation.image.member(where)
        if member.kind not in (MemberKind.FILE, MemberKind.HARDLINK):
            continue
        words = [name for bit, name in ((0o4000, "setuid"), (0o2000, "setgid")) if member.mode & bit]
        words += ["file capabilities"] if where in able else []
        if words:
            owner = explanation.packages.owner(path)
            source = f"from {owner.label}" if owner else "of no package"
            whose = f"user {member.uid}" if member.mode & 0o4000 else f"group {member.gid}"
            yield Finding(
                check=Check.SETUID,
                id="setuid",
                message=f"{' and '.join(words)} ({whose}); {source}",
                path=path,
                layer=where.layer + 1,
                package=owner.name if owner else "",
                version=owner.version if owner else "",
            )


def _able(explanation: Explanation, layers: tuple[LayerFacts, ...]) -> Iterator[tuple[int, int]]:
    for number, facts in enumerate(layers):
        for where in _members(explanation, number, set(facts.capabilities)).values():
            yield where.layer, where.member


def _members(explanation: Explanation, layer: int, paths: set[str]) -> dict[str, Where]:
    """The last member of each path in a layer."""
    if not paths:
        return {}
    members = explanation.image.layers[layer].members
    return {member.path: Where(layer, index) for index, member in enumerate(members) if member.path in paths}


def _seen_documents(explanation: Explanation) -> dict[str, Mapping[str, Any]]:
    found = {}
    for number, layer in enumerate(explanation.image.layers):
        for path, document in layer.documents.items():
            where = explanation.merged.seen.get(path)
            if where is not None and where.layer == number:
                found[path] = document
    return found


def _file(explanation: Explanation, path: str) -> tuple[Member | None, Where | None]:
    """The file that is seen at `path`, hard links followed; None where it is none, or not there."""
    for _ in range(_MOST_LINKS):
        where = explanation.merged.seen.get(path)
        if where is None:
            return None, None
        member = explanation.image.member(where)
        if member.kind is MemberKind.FILE:
            return member, where
        if member.kind is not MemberKind.HARDLINK:
            return None, None
        path = member.link_target
    return None, None


def _package_name(explanation: Explanation, path: str) -> str:
    owner = explanation.packages.owner(path)
    return owner.name if owner is not None else ""
