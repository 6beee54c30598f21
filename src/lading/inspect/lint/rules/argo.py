"""Rules about Argo workflows. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.yaml_file import Value

_FIELDS = "argo-workflows: docs/fields.md"


def _spec(document: Value) -> Value | None:
    if document.text("kind") == "CronWorkflow":
        return document.get("spec", "workflowSpec")
    return document.get("spec")


def _templates(spec: Value | None) -> tuple[Value, ...]:
    found = spec.get("templates") if spec is not None else None
    return tuple(item for item in (found.items if found is not None else ()) if item.members)


def _calls(template: Value) -> Iterator[Value]:
    """The steps and tasks of a template."""
    steps = template.get("steps")
    for group in steps.items if steps is not None else ():
        yield from group.items if group.items else (group,)
    tasks = template.get("dag", "tasks")
    yield from tasks.items if tasks is not None else ()


@rule("LDA001", "A template that is not defined", Kind.ARGO, Severity.ERROR, _FIELDS)
def undefined_template(document: Value) -> Iterator[Spot]:
    """A step or task names a template of this workflow that is not there: the workflow is refused.

    Bad:

        entrypoint: train
        templates:
          - name: trian

    Good:

        entrypoint: train
        templates:
          - name: train
    """
    spec = _spec(document)
    templates = _templates(spec)
    if spec is None or not templates or spec.get("workflowTemplateRef") is not None:
        return
    names = {template.text("name") for template in templates}
    asked = [spec.get("entrypoint"), spec.get("onExit")]
    asked += [call.get("template") for template in templates for call in _calls(template)]
    for value in asked:
        if (
            value is not None
            and isinstance(value.data, str)
            and "{{" not in value.data
            and value.data not in names
        ):
            yield Spot(start=value.start, message=f"no template is named {value.data}")


@rule("LDA005", "An empty retryStrategy", Kind.ARGO, Severity.ERROR, "argo-workflows: docs/retries.md")
def empty_retry(document: Value) -> Iterator[Spot]:
    """Without a limit an empty strategy retries for ever, and each try may hold a GPU.

    Bad:

        retryStrategy: {}

    Good:

        retryStrategy: {limit: "3"}
    """
    spec = _spec(document)
    for value in (spec, *_templates(spec)) if spec is not None else ():
        retry = value.get("retryStrategy")
        if retry is not None and retry.data == {}:
            yield Spot(
                start=retry.start, message="an empty retryStrategy retries for ever: give it a `limit`"
            )
