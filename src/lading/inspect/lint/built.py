"""A built image as a document of the linter: what was read of it, and what it is to run on. Pure.

Knows how to look a path up as the image's own loader would; knows no rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lading.inspect.explain.explanation import Explanation, shown
from lading.inspect.image.attached import Attachment
from lading.inspect.image.model import Member, MemberKind, Where
from lading.inspect.lint.model import Finding, Severity
from lading.inspect.lint.rule import Kind, all_rules
from lading.inspect.scan.model import LayerFacts, Linkage
from lading.oci.links import resolve_links

_MOST_LINKS = 40
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """`driver` and `gpu` are those it is to run on, where the caller said."""

    explanation: Explanation
    facts: tuple[LayerFacts, ...]
    attached: tuple[Attachment, ...] | None = None
    """What refers to it; None where that cannot be known."""
    driver: str | None = None
    gpu: int | None = None

    @property
    def config(self) -> Mapping[str, Any]:
        found = self.explanation.image.config.get("config")
        return found if isinstance(found, dict) else {}

    @cached_property
    def variables(self) -> dict[str, str]:
        pairs = (entry.partition("=") for entry in self.words("Env"))
        return {name: value for name, _, value in pairs}

    def words(self, key: str) -> list[str]:
        """A list of words in the config; empty where it is none."""
        found = self.config.get(key)
        return [word for word in found if isinstance(word, str)] if isinstance(found, list) else []

    @property
    def command(self) -> list[str]:
        return [*self.words("Entrypoint"), *self.words("Cmd")]

    def seen_facts(self, kind: str) -> Iterator[tuple[str, Any, int]]:
        """Path, fact and layer (from 1) of a mapping of the facts, for what is seen in the image."""
        for number, facts in enumerate(self.facts):
            for path, fact in getattr(facts, kind).items():
                where = self.explanation.merged.seen.get(path)
                if where is not None and where.layer == number:
                    yield path, fact, number + 1

    @cached_property
    def linkages(self) -> dict[str, Linkage]:
        return {path: linkage for path, linkage, _ in self.seen_facts("linkages")}

    @cached_property
    def scripts(self) -> dict[str, str]:
        return {path: line for path, line, _ in self.seen_facts("scripts")}

    def find(self, path: str) -> tuple[str, Member] | None:
        """Where the file at `path` really is, links followed; None where nothing is there."""
        links, left = self.explanation.merged.links, [_MOST_LINKS]

        def link_at(place: str) -> str | None:
            target = links.get(place)
            left[0] -= target is not None
            return target if left[0] > 0 else None

        real = resolve_links(path.lstrip("/"), link_at)
        where: Where | None = self.explanation.merged.seen.get(real)
        return None if where is None else (real, self.explanation.image.member(where))

    def find_program(self, word: str) -> tuple[str, Member] | None:
        """The file that starts for `word`: on PATH, or a path from the working folder."""
        if "/" in word:
            folder = str(self.config.get("WorkingDir") or "/")
            return self.find(word if word.startswith("/") else f"{folder}/{word}")
        for folder in (self.variables.get("PATH") or _DEFAULT_PATH).split(":"):
            found = self.find(f"{folder}/{word}") if folder else None
            if found is not None and found[1].kind in (MemberKind.FILE, MemberKind.HARDLINK):
                return found
        return None


def lint_image(built: BuiltImage, severities: Mapping[str, Severity]) -> list[Finding]:
    """By rule and place."""
    name = built.explanation.image.name
    found = [
        Finding(
            rule=rule.id,
            severity=severities.get(rule.id, rule.severity),
            path=shown(spot.path),
            line=max(1, spot.start),
            column=1,
            message=shown(spot.message),
            image=name,
            layer=spot.layer,
        )
        for rule in all_rules().values()
        if rule.kind is Kind.IMAGE and severities.get(rule.id, rule.severity) is not Severity.OFF
        for spot in rule.check(built)
    ]
    return sorted(found, key=lambda finding: (finding.rule, finding.path, finding.layer or 0, finding.line))
