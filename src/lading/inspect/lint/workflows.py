"""An Argo workflow as templates that call each other. Pure; all three kinds and the scheduled one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from lading.inspect.lint.yaml_file import Value

SUBMITTED = frozenset({"Workflow", "CronWorkflow"})
"""Kinds that run; the others are called from them."""


@dataclass(frozen=True)
class Call:
    """A step or task. `group` is what may run at the same time: steps by their place, tasks all."""

    value: Value
    group: int

    @property
    def name(self) -> str:
        return self.value.text("name") or ""

    @property
    def template(self) -> str | None:
        """None for one of another object, one written inline, or one that a parameter names."""
        name = self.value.text("template")
        return name if name is not None and "{{" not in name else None

    @property
    def is_many(self) -> bool:
        return any(key in self.value.members for key in ("withItems", "withParam", "withSequence"))

    @property
    def after(self) -> frozenset[str]:
        """Tasks that it waits for, as far as they are told."""
        told = self.value.get("dependencies")
        names = {str(item.data) for item in (told.items if told is not None else ())}
        words = (self.value.text("depends") or "").replace("(", " ").replace(")", " ").replace("!", " ")
        names |= {word.partition(".")[0] for word in words.split() if word not in {"&&", "||"}}
        return frozenset(names)


@dataclass(frozen=True)
class Template:
    value: Value

    @property
    def name(self) -> str:
        return self.value.text("name") or ""

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        return tuple(self._calls())

    def _calls(self) -> Iterator[Call]:
        steps = self.value.get("steps")
        for number, group in enumerate(steps.items if steps is not None else ()):
            yield from (Call(call, number) for call in (group.items or (group,)) if call.members)
        tasks = self.value.get("dag", "tasks")
        yield from (Call(task, 0) for task in (tasks.items if tasks is not None else ()) if task.members)

    def declared(self, side: str, kind: str) -> tuple[Value, ...]:
        """`inputs` or `outputs`; `parameters` or `artifacts`."""
        found = self.value.get(side, kind)
        return tuple(item for item in (found.items if found is not None else ()) if item.members)

    def names(self, side: str, kind: str) -> frozenset[str]:
        return frozenset(item.text("name") or "" for item in self.declared(side, kind))

    def at_once(self) -> Iterator[tuple[Call, Call]]:
        """Pairs of calls that nothing keeps from running at the same time."""
        is_dag = self.value.get("dag") is not None
        before = {call.name: call.after for call in self.calls}
        for at, one in enumerate(self.calls):
            for other in self.calls[at + 1 :]:
                if one.group != other.group:
                    continue
                if not is_dag or not (
                    _waits(one.name, other.name, before) or _waits(other.name, one.name, before)
                ):
                    yield one, other
            if one.is_many:
                yield one, one


def _waits(task: str, other: str, before: dict[str, frozenset[str]]) -> bool:
    waiting, seen = [task], set[str]()
    while waiting:
        name = waiting.pop()
        if name == other:
            return True
        if name not in seen:
            seen.add(name)
            waiting += before.get(name, frozenset())
    return False


def spec_of(document: Value) -> Value | None:
    if document.text("kind") == "CronWorkflow":
        return document.get("spec", "workflowSpec")
    return document.get("spec")


def templates_of(spec: Value | None) -> tuple[Template, ...]:
    found = spec.get("templates") if spec is not None else None
    return tuple(Template(item) for item in (found.items if found is not None else ()) if item.members)


def has_defaults(document: Value) -> bool:
    """Whether what a template lacks may stand in `templateDefaults`."""
    spec = spec_of(document)
    return spec is not None and "templateDefaults" in spec.members
