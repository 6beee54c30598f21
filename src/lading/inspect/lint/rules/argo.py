"""Rules about Argo workflows. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.pods import Container, pods_of
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.workflows import SUBMITTED, Template, has_defaults, spec_of, templates_of
from lading.inspect.lint.yaml_edit import add_member
from lading.inspect.lint.yaml_file import Value

_FIELDS = "argo-workflows: docs/fields.md"


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
    spec = spec_of(document)
    templates = templates_of(spec)
    if spec is None or not templates or spec.get("workflowTemplateRef") is not None:
        return
    names = {template.name for template in templates}
    asked = [spec.get("entrypoint"), spec.get("onExit")]
    asked += [call.value.get("template") for template in templates for call in template.calls]
    for value in asked:
        if (
            value is not None
            and isinstance(value.data, str)
            and "{{" not in value.data
            and value.data not in names
        ):
            yield Spot(start=value.start, message=f"no template is named {value.data}")


@rule(
    "LDA004", "A claim that no step mounts", Kind.ARGO, Severity.WARNING,
    "argo-workflows: docs/walk-through/volumes.md",
)  # fmt: skip
def unmounted_claim(document: Value) -> Iterator[Spot]:
    """A claim is made for each run, waited for and paid for, and nothing lies on it: what a step leaves for
    the next is lost.

    Bad:

        volumeClaimTemplates: [{metadata: {name: workdir}, …}]
        templates: [{name: train, container: {image: "acme/train:1"}}]

    Good:

        container: {image: "acme/train:1", volumeMounts: [{name: workdir, mountPath: /work}]}
    """
    spec = spec_of(document)
    claims = spec.get("volumeClaimTemplates") if spec is not None else None
    if spec is None or claims is None or document.text("kind") not in SUBMITTED or not templates_of(spec):
        return
    if any(
        key in value.members
        for value in spec.walk()
        for key in ("templateRef", "podSpecPatch", "templateDefaults")
    ):
        return
    used = {
        item.text("name")
        for value in spec.walk()
        if (mounts := value.get("volumeMounts")) is not None
        for item in mounts.items
    }
    for claim in claims.items:
        name = claim.get("metadata", "name")
        if (
            name is not None
            and isinstance(name.data, str)
            and "{{" not in name.data
            and name.data not in used
        ):
            yield Spot(start=name.start, message=f"no step mounts the claim {name.data}")


@rule(
    "LDA005",
    "An empty retryStrategy",
    Kind.ARGO,
    Severity.ERROR,
    "argo-workflows: docs/retries.md",
    mends=True,
)
def empty_retry(document: Value) -> Iterator[Spot]:
    """Without a limit an empty strategy retries for ever, and each try may hold a GPU.

    Bad:

        retryStrategy: {}

    Good:

        retryStrategy: {limit: "3"}

    The mend gives it a limit of 3.
    """
    spec = spec_of(document)
    for value in (spec, *(one.value for one in templates_of(spec))) if spec is not None else ():
        retry = value.get("retryStrategy")
        if retry is not None and retry.data == {}:
            edit = add_member(retry, "limit", "3")
            yield Spot(
                start=retry.start,
                message="an empty retryStrategy retries for ever: give it a `limit`",
                edits=(edit,) if edit is not None else (),
            )


@rule(
    "LDA006", "A GPU step without a deadline", Kind.ARGO, Severity.WARNING,
    "docs.coreweave.com: optimize Argo Workflows performance and resilience",
)  # fmt: skip
def endless_step(document: Value) -> Iterator[Spot]:
    """A training process that hangs never fails, and holds its GPU until somebody looks. A deadline stands
    at the step, at its template or at the whole workflow.

    Bad:

        - name: train
          container: {resources: {limits: {nvidia.com/gpu: 1}}}

    Good:

        - name: train
          activeDeadlineSeconds: 86400
          container: {resources: {limits: {nvidia.com/gpu: 1}}}
    """
    spec = spec_of(document)
    if spec is None or "activeDeadlineSeconds" in spec.members or has_defaults(document):
        return
    for template in templates_of(spec):
        ends = {"activeDeadlineSeconds", "timeout", "podSpecPatch"} & template.value.members.keys()
        held = [one for one in _steps(template) if one.has_accelerator]
        if held and not ends:
            message = f"step {template.name} can hold its GPU for ever: no activeDeadlineSeconds"
            yield Spot(start=template.value.start, message=message)


def _steps(template: Template) -> Iterator[Container]:
    for pod in pods_of(template.value):
        yield from pod.containers


@rule(
    "LDA007", "The rights of the default service account", Kind.ARGO, Severity.WARNING,
    "argo-workflows: docs/service-accounts.md",
)  # fmt: skip
def default_account(document: Value) -> Iterator[Spot]:
    """What `default` may do, everything in the namespace may. Said where it is written, and where a step
    changes objects of the cluster and no account is named for it.

    Bad:

        serviceAccountName: default

    Good:

        serviceAccountName: train-workflow
    """
    spec = spec_of(document)
    if spec is None:
        return
    templates = templates_of(spec)
    for value in (spec, *(one.value for one in templates)):
        account = value.get("serviceAccountName")
        if account is not None and account.data == "default":
            yield Spot(
                start=account.start,
                message="the service account `default` is everyone's: name one of its own",
            )
    if (
        "serviceAccountName" in spec.members
        or document.text("kind") not in SUBMITTED
        or has_defaults(document)
    ):
        return
    for template in templates:
        resource = template.value.get("resource")
        if resource is not None and "serviceAccountName" not in template.value.members:
            message = f"step {template.name} changes objects as `default`: name a service account for it"
            yield Spot(start=template.value.keys.get("resource", resource.start), message=message)


@rule(
    "LDA008", "What a workflow leaves behind", Kind.ARGO, Severity.INFO,
    "argo-workflows: docs/cost-optimisation.md",
)  # fmt: skip
def left_behind(document: Value) -> Iterator[Spot]:
    """A workflow that is submitted again and again keeps its pods and records unless told otherwise; a step
    whose image has no tag is another one tomorrow; a step without requests is put anywhere, and is the
    first to be evicted.

    Bad:

        metadata: {generateName: train-}
        spec: {templates: [{name: train, container: {image: acme/train}}]}

    Good:

        spec: {ttlStrategy: {secondsAfterCompletion: 86400}, podGC: {strategy: OnPodSuccess}, …}
    """
    spec = spec_of(document)
    if spec is None or spec.get("workflowTemplateRef") is not None or has_defaults(document):
        return
    kept = not {"ttlStrategy", "podGC"} & spec.members.keys()
    again = document.text("kind") == "Workflow" and document.text("metadata", "generateName") is not None
    if kept and again and templates_of(spec):
        yield Spot(start=spec.start, message="each submission leaves its pods: no ttlStrategy and no podGC")
    for template in templates_of(spec):
        for container in _steps(template):
            image = container.value.get("image")
            if image is None or "{{" in container.image:
                continue
            if "@" not in container.image and ":" not in container.image.rpartition("/")[2]:
                yield Spot(
                    start=image.start, message=f"step {template.name} runs {container.image} without a tag"
                )
            if "resources" not in container.value.members and "podSpecPatch" not in template.value.members:
                yield Spot(start=container.value.start, message=f"step {template.name} asks for no resources")
