"""For each rule over Argo workflows, objects it must catch and objects it must leave alone.

The label was written before the rule saw them.
"""

from __future__ import annotations

from lint.manifest_cases import (
    GPU,
    MOUNTS,
    OUTPUT,
    READ_WRITE_ONCE,
    RESOURCE,
    Objects,
    argo,
    gives,
    reads,
    steps,
)

ARGO: dict[str, tuple[tuple[Objects, ...], tuple[Objects, ...]]] = {
    "LDA001": (
        (
            argo({"entrypoint": "train", "templates": [{"name": "trian"}]}),
            argo({"templates": [{"name": "a", "steps": [[{"name": "x", "template": "b"}]]}]}),
            argo({"onExit": "clean", "templates": [{"name": "a", "dag": {"tasks": [{"name": "x",
             "template": "a"}]}}]}),
        ),
        (
            argo({"entrypoint": "train", "templates": [{"name": "train"}]}),
            argo({"entrypoint": "train", "workflowTemplateRef": {"name": "other"}}),
            argo({"templates": [{"name": "a", "steps": [[{"name": "x", "templateRef": {"name": "o",
             "template": "b"}}]]}]}),
            argo({"entrypoint": "{{workflow.parameters.e}}", "templates": [{"name": "a"}]}),
        ),
    ),
    "LDA002": (
        (
            reads({}),
            reads(OUTPUT, "{{ steps.x.outputs.parameters.accuracy }}"),
            reads({"outputs": {"artifacts": [{"name": "acc", "path": "/a"}]}}),
        ),
        (
            reads(OUTPUT),
            reads({}, "{{steps.x.outputs.result}}"),
            reads({}, "{{steps.elsewhere.outputs.parameters.acc}}"),
            reads({}, "{{inputs.parameters.acc}}"),
        ),
    ),
    "LDA003": (
        (
            steps(gives(lr="1"), {"container": {"image": "a:1"}}),
            steps(gives(lr="1", seed="2"), {"inputs": {"parameters": [{"name": "lr"}]},
             "container": {"image": "a:1"}}),
            steps({}, {"inputs": {"parameters": [{"name": "lr"}]}}),
            steps({}, {"inputs": {"artifacts": [{"name": "data", "path": "/d"}]}}),
        ),
        (
            steps(gives(lr="1"), {"inputs": {"parameters": [{"name": "lr"}]}}),
            steps({}, {"inputs": {"parameters": [{"name": "lr", "value": "1"}]}}),
            steps({}, {"inputs": {"artifacts": [{"name": "data", "path": "/d", "optional": True}]}}),
            steps(gives(lr="1"), {}, templateDefaults={"inputs": {"parameters": [{"name": "lr"}]}}),
            argo({"templates": [{"name": "m", "steps": [[{"name": "x", "templateRef": {"name": "o",
             "template": "t"},
                                                          **gives(lr="1")}]]}]}),
        ),
    ),
    "LDA004": (
        (
            steps({}, {"container": {"image": "a:1"}}, volumeClaimTemplates=[READ_WRITE_ONCE]),
            steps({}, {"container": {"image": "a:1", "volumeMounts": [{"name": "other", "mountPath": "/o"}]}},
                  volumeClaimTemplates=[READ_WRITE_ONCE]),
            argo({"templates": [{"name": "a", "script": {"image": "a:1", "source": "x"}}],
                  "volumeClaimTemplates": [READ_WRITE_ONCE]}),
        ),
        (
            steps({}, MOUNTS, volumeClaimTemplates=[READ_WRITE_ONCE]),
            steps({}, {"container": {"image": "a:1"}}),
            argo({"templates": [{"name": "a", "steps": [[{"name": "x", "templateRef": {"name": "o",
             "template": "b"}}]]}],
                  "volumeClaimTemplates": [READ_WRITE_ONCE]}),
            steps({}, {"container": {"image": "a:1"}, "podSpecPatch": "x"},
             volumeClaimTemplates=[READ_WRITE_ONCE]),
        ),
    ),
    "LDA005": (
        (
            argo({"templates": [{"name": "a", "retryStrategy": {}}]}),
            argo({"retryStrategy": {}, "templates": [{"name": "a"}]}),
            argo({"templates": [{"name": "a", "retryStrategy": {}}]}, "WorkflowTemplate"),
        ),
        (
            argo({"templates": [{"name": "a", "retryStrategy": {"limit": "3"}}]}),
            argo({"templates": [{"name": "a", "retryStrategy": {"retryPolicy": "Always"}}]}),
            argo({"retryStrategy": None, "templates": [{"name": "a"}]}),
        ),
    ),
    "LDA006": (
        (
            steps({}, {"container": {"image": "a:1", "resources": GPU}}),
            steps({}, {"script": {"image": "a:1", "source": "x", "resources": GPU}}),
            argo({"templates": [{"name": "a", "container": {"image": "a:1", "resources": GPU}}]},
             "WorkflowTemplate"),
        ),
        (
            steps({}, {"activeDeadlineSeconds": 60, "container": {"image": "a:1", "resources": GPU}}),
            steps({}, {"container": {"image": "a:1", "resources": GPU}}, activeDeadlineSeconds=60),
            steps({}, {"container": {"image": "a:1"}}),
        ),
    ),
    "LDA007": (
        (
            argo({"serviceAccountName": "default", "templates": [{"name": "a"}]}),
            steps({}, RESOURCE),
            argo({"templates": [{"name": "a", "serviceAccountName": "default"}]}, "WorkflowTemplate"),
        ),
        (
            argo({"serviceAccountName": "train", "templates": [{"name": "a"} | RESOURCE]}),
            steps({}, {"container": {"image": "a:1"}}),
            argo({"templates": [{"name": "a"} | RESOURCE]}, "WorkflowTemplate"),
            steps({}, RESOURCE | {"serviceAccountName": "deployer"}),
        ),
    ),
    "LDA008": (
        (
            argo({"templates": [{"name": "a"}]}, generateName="a-"),
            steps({}, {"container": {"image": "acme/train", "resources": GPU}}),
            steps({}, {"container": {"image": "a:1"}}),
        ),
        (
            argo({"podGC": {"strategy": "OnPodSuccess"}, "templates": [{"name": "a"}]}, generateName="a-"),
            steps({}, {"container": {"image": "reg:5000/a@sha256:0", "resources": GPU}}),
            steps({}, {"container": {"image": "{{workflow.parameters.image}}"}}),
            argo({"templates": [{"name": "a"}]}, name="a"),
        ),
    ),
}  # fmt: skip
