"""Rules and their register. A rule is one function; its docstring is its page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.roles import Role, roles_of_name


class Kind(Enum):
    """What a rule reads, and hence what it is given."""

    DOCKERFILE = "Dockerfile"
    COMPOSE = "compose file"
    KUBERNETES = "Kubernetes manifest"
    ARGO = "Argo workflow"
    MANIFESTS = "Kubernetes manifests"
    REQUIREMENTS = "Python requirements"
    LOCK = "Python lock"
    CODE = "Python code"
    IMAGE = "built image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    id: str
    title: str
    kind: Kind
    severity: Severity
    mends: bool
    """Whether `--fix` can mend what it finds, at least in the plain cases."""
    source: str
    check: Callable[..., Iterator[Spot]]
    looks_around: bool = False
    """Whether it is given the file's Surroundings too."""

    def level_in(self, name: str) -> Severity:
        """Of a file of this name: a rule that is off by default informs about what is for a release."""
        if self.severity is Severity.OFF and Role.RELEASE in roles_of_name(name):
            return Severity.INFO
        return self.severity

    @property
    def page(self) -> str:
        """Why, a bad and a good sample, what the mend does."""
        return self.check.__doc__ or ""


Check = TypeVar("Check", bound=Callable[..., Iterator[Spot]])
RULES: dict[str, Rule] = {}


def rule(
    id: str,
    title: str,
    kind: Kind,
    severity: Severity,
    source: str,
    *,
    mends: bool = False,
    looks_around: bool = False,
) -> Callable[[Check], Check]:
    """Enter a function into the register."""

    def enter(check: Check) -> Check:
        RULES[id] = Rule(
            id=id,
            title=title,
            kind=kind,
            severity=severity,
            mends=mends,
            source=source,
            check=check,
            looks_around=looks_around,
        )
        return check

    return enter


@lru_cache(maxsize=1)
def all_rules() -> dict[str, Rule]:
    """Every rule by its id."""
    from lading.inspect.lint import rules

    for module in iter_modules(rules.__path__):
        import_module(f"{rules.__name__}.{module.name}")  # each enters its rules
    return dict(sorted(RULES.items()))
