"""Rules about what Argo's steps give each other. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.workflows import SUBMITTED, Call, Template, has_defaults, spec_of, templates_of
from lading.inspect.lint.yaml_edit import add_item, add_member
from lading.inspect.lint.yaml_file import Value

_REFERENCE = re.compile(
    r"\{\{\s*(steps|tasks)\.([A-Za-z0-9_-]+)\.outputs\.(parameters|artifacts)\.([A-Za-z0-9_-]+)\s*\}\}"
)
_PLAIN_ARTIFACT = frozenset({"name", "path", "mode", "recurseMode", "archive", "description"})


@rule(
    "LDA002", "An output that no template declares", Kind.ARGO, Severity.ERROR,
    "argo-workflows: docs/walk-through/output-parameters.md",
)  # fmt: skip
def undeclared_output(document: Value) -> Iterator[Spot]:
    """A step reads an output of another, and the template of that one declares no such output: the workflow
    is refused, or ends in the middle. `outputs.result` needs no declaration.

    Bad:

        value: "{{steps.train.outputs.parameters.accuracy}}"

    Good:

        - name: train
          outputs:
            parameters:
              - {name: accuracy, valueFrom: {path: /tmp/accuracy}}
    """
    templates = templates_of(spec_of(document))
    if has_defaults(document):
        return
    known = _by_name(templates)
    for template in templates:
        calls = {call.name: call for call in template.calls}
        for value in template.value.walk():
            if not isinstance(value.data, str) or "{{" not in value.data:
                continue
            for match in _REFERENCE.finditer(value.data):
                call = calls.get(match[2])
                called = known.get(call.template or "") if call is not None else None
                if called is None or match[4] in called.names("outputs", match[3]):
                    continue
                word = match[3].removesuffix("s")
                yield Spot(
                    start=value.start, message=f"template {called.name} declares no output {word} {match[4]}"
                )


@rule(
    "LDA003", "Arguments that do not meet the inputs", Kind.ARGO, Severity.ERROR,
    "argo-workflows: docs/walk-through/parameters.md", mends=True,
)  # fmt: skip
def unmet_inputs(document: Value) -> Iterator[Spot]:
    """An argument that the template has no input for never arrives: the step runs with what it had before.
    And an input without a value that a call does not give has none: the workflow is refused.

    Bad:

        - name: train
          template: train
          arguments: {parameters: [{name: lr, value: "0.1"}]}
        …
        - name: train
          container: …

    Good:

        - name: train
          inputs: {parameters: [{name: lr}]}
          container: …

    The mend declares the parameter, where every call of the template gives it and no other file can call it.
    """
    templates = templates_of(spec_of(document))
    if has_defaults(document):
        return
    known = _by_name(templates)
    calls: dict[str, list[Call]] = {}
    for template in templates:
        for call in template.calls:
            if call.template in known:
                calls.setdefault(call.template or "", []).append(call)
    for name, made in calls.items():
        yield from _unasked(document, known[name], made)
        for call in made:
            yield from _ungiven(known[name], call)


def _given(call: Call, kind: str) -> dict[str, Value]:
    found = call.value.get("arguments", kind)
    return {
        item.text("name") or "": item for item in (found.items if found is not None else ()) if item.members
    }


def _unasked(document: Value, template: Template, calls: list[Call]) -> Iterator[Spot]:
    """One finding a template, so that one mend is for all of it."""
    for kind in ("parameters", "artifacts"):
        declared = template.names("inputs", kind)
        extra = {
            name: item
            for call in reversed(calls)
            for name, item in _given(call, kind).items()
            if name not in declared and "{{" not in name
        }
        if not extra:
            continue
        word = kind.removesuffix("s")
        first = min(extra.values(), key=lambda item: item.start)
        everywhere = all(extra.keys() <= _given(call, kind).keys() for call in calls)
        edit = None
        if kind == "parameters" and everywhere and _only_called_by(document, template, calls):
            edit = _declaring(template, sorted(extra))
        yield Spot(
            start=first.start,
            message=f"template {template.name} has no input {word} {', '.join(sorted(extra))}",
            edits=(edit,) if edit is not None else (),
        )


def _only_called_by(document: Value, template: Template, calls: list[Call]) -> bool:
    """Whether nothing else, here or in another object, can start the template."""
    named = sum(value.text("template") == template.name for value in document.walk())
    spec = spec_of(document)
    started = {spec.text("entrypoint"), spec.text("onExit")} if spec is not None else set()
    return document.text("kind") in SUBMITTED and named == len(calls) and template.name not in started


def _declaring(template: Template, names: list[str]) -> Edit | None:
    inputs, parameters = template.value.get("inputs"), template.value.get("inputs", "parameters")
    wanted = [{"name": name} for name in names]
    if parameters is not None:
        return add_item(parameters, wanted[0]) if len(wanted) == 1 else None
    if inputs is not None:
        return add_member(inputs, "parameters", wanted)
    return add_member(template.value, "inputs", {"parameters": wanted})


def _ungiven(template: Template, call: Call) -> Iterator[Spot]:
    for kind in ("parameters", "artifacts"):
        given = _given(call, kind)
        for item in template.declared("inputs", kind):
            name = item.text("name") or ""
            own = (
                set(item.members) - _PLAIN_ARTIFACT
                if kind == "artifacts"
                else {"value", "default", "valueFrom"} & set(item.members)
            )
            if name and name not in given and not own:
                word = kind.removesuffix("s")
                yield Spot(
                    start=call.value.start,
                    message=f"{call.name} gives {template.name} no {word} {name}, which has no default",
                )


def _by_name(templates: tuple[Template, ...]) -> dict[str, Template]:
    """Templates that one name means."""
    counts = Counter(template.name for template in templates)
    return {template.name: template for template in templates if counts[template.name] == 1}
