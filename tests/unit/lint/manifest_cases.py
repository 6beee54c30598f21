"""For each rule over manifests, objects it must catch and objects it must leave alone, as values: the tests
write them in both styles of YAML. The label was written before the rule saw them.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
Objects = tuple[Object, ...]
GPU = {"limits": {"nvidia.com/gpu": 1}}
VLLM = {"name": "v", "image": "vllm/vllm-openai:v0.9.1", "resources": GPU}
SHM = {"name": "shm", "mountPath": "/dev/shm"}
MEMORY = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}


def pod(container: Object, **spec: Any) -> Objects:
    made = {"name": "c", "image": "a:1"} | container
    return (
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [made]} | spec},
    )


def deployment(container: Object, kind: str = "Deployment", replicas: int = 1, **spec: Any) -> Objects:
    made = {"name": "c", "image": "a:1"} | container
    body = {
        "replicas": replicas,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [made]} | spec},
    }
    return ({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "d"}, "spec": body},)


def patch(container: Object) -> Objects:
    """Of kustomize: it names the Deployment and what is other in it."""
    made = {"name": "c", "image": "a:1"} | container
    spec = {"template": {"spec": {"containers": [made]}}}
    return ({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec},)


def runtime(container: Object, kind: str = "ServingRuntime") -> Objects:
    made = {"name": "kserve-container", "image": "vllm/vllm-openai:v0.9.1"} | container
    spec = {"supportedModelFormats": [{"name": "vLLM"}], "containers": [made]}
    return ({"apiVersion": "serving.kserve.io/v1alpha1", "kind": kind, "spec": spec},)


def language_model(resources: Object) -> Objects:
    """KServe's service of one: the image comes from elsewhere."""
    spec = {"template": {"containers": [{"name": "main", "resources": resources}]}}
    return ({"apiVersion": "serving.kserve.io/v1alpha1", "kind": "LLMInferenceService", "spec": spec},)


def job(container: Object, of: Object | None = None, **spec: Any) -> Objects:
    made = {"name": "c", "image": "a:1"} | container
    inside = {"restartPolicy": "Never", "containers": [made]} | spec
    body = (of or {}) | {"template": {"spec": inside}}
    return ({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": body},)


def bounded(container: Object, **spec: Any) -> Objects:
    return job(container, {"activeDeadlineSeconds": 60, "backoffLimit": 1}, **spec)


def argo(spec: Object, kind: str = "Workflow", **metadata: str) -> Objects:
    return ({"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec},)


def steps(call: Object, template: Object, **spec: Any) -> Objects:
    templates = [
        {"name": "main", "steps": [[{"name": "x", "template": "t"} | call]]},
        {"name": "t"} | template,
    ]
    return argo({"entrypoint": "main", "templates": templates} | spec)


def gives(**values: str) -> Object:
    return {"arguments": {"parameters": [{"name": name, "value": value} for name, value in values.items()]}}


def claim(*modes: str) -> Object:
    spec = {"accessModes": list(modes), "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "work"}, "spec": spec}


def scaled(metrics: list[Object], kind: str = "Deployment") -> Object:
    target = {"kind": kind, "name": "d"}
    spec = {"scaleTargetRef": target, "metrics": metrics}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": spec}


def sizes(requests: object, limits: object) -> Objects:
    both = {"requests": requests, "limits": limits}
    return pod({"resources": {k: {"nvidia.com/gpu": v} for k, v in both.items() if v is not None}})


def env(**values: str) -> Object:
    return {"env": [{"name": name, "value": value} for name, value in values.items()]}


def held(name: str = "work") -> Object:
    return {"volumes": [{"name": name, "persistentVolumeClaim": {"claimName": "work"}}]}


def probe(path: str = "/health", **more: int) -> Object:
    return {"livenessProbe": {"httpGet": {"path": path, "port": 8000}} | more}


CPU = {"type": "Resource", "resource": {"name": "cpu"}}
QUEUE = {"type": "Pods", "pods": {"metric": {"name": "requests_waiting"}}}
UVICORN = {"command": ["uvicorn", "app:app"], "ports": [{"containerPort": 8000}]}
TORCHRUN = {"command": ["torchrun", "--nproc-per-node=4", "train.py"]}
DRAIN = {"command": ["gunicorn", "--graceful-timeout", "30", "app:app"]}
PROBED = {"startupProbe": {"httpGet": {"path": "/health", "port": 8000}, "failureThreshold": 90}}
DATASET = {"volumeMounts": [{"name": "dataset", "mountPath": "/dataset"}]}
TRAIN = {"command": ["python", "train.py"]}
SEALED = {"securityContext": {"readOnlyRootFilesystem": True}}
READ_WRITE_ONCE = {"metadata": {"name": "w"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
MOUNTS = {"container": {"image": "a:1", "volumeMounts": [{"name": "w", "mountPath": "/w"}]}}
OUTPUT = {"outputs": {"parameters": [{"name": "acc", "valueFrom": {"path": "/a"}}]}}
RESOURCE = {"resource": {"action": "apply", "manifest": "a: b"}}


def reads(template: Object, value: str = "{{steps.x.outputs.parameters.acc}}") -> Objects:
    calls = [[{"name": "x", "template": "t"}], [{"name": "y", "template": "u", **gives(v=value)}]]
    other = {"name": "u", "inputs": {"parameters": [{"name": "v"}]}, "container": {"image": "a:1"}}
    return argo(
        {
            "entrypoint": "main",
            "templates": [{"name": "main", "steps": calls}, {"name": "t"} | template, other],
        }
    )


KUBERNETES: dict[str, tuple[tuple[Objects, ...], tuple[Objects, ...]]] = {
    "LDK001": (
        (sizes(1, None), pod({"resources": {"requests": {"nvidia.com/gpu": 1}, "limits": {"cpu": 1}}}),
         job({"resources": {"requests": {"nvidia.com/gpu": 2}}})),
        (
            sizes(1, 1),
            sizes(None, 1),
            pod({"resources": {"requests": {"cpu": 1}}}),
            patch({"resources": {"requests": {"nvidia.com/gpu": 1}}}),
            runtime({"resources": {"requests": {"nvidia.com/gpu": 1}}}),
        ),
    ),
    "LDK002": (
        (
            sizes(1, 2),
            sizes(4, 1),
            language_model({"requests": {"nvidia.com/gpu": 8}, "limits": {"nvidia.com/gpu": 4}}),
            job({"resources": {"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": 3}}}),
        ),
        (
            sizes(1, 1),
            sizes(None, 2),
            sizes(1, "1"),
            runtime({"resources": {"limits": {"nvidia.com/gpu": 2}}}),
        ),
    ),
    "LDK003": (
        (sizes(None, 0.5), sizes(None, "500m"), sizes("1.5", "1.5")),
        (sizes(None, 1), sizes(None, "2"), sizes(None, "1000m"), sizes(None, "1.0")),
    ),
    "LDK004": (
        (
            deployment({"image": "vllm/vllm-openai:v0.9.1"}),
            pod({"image": "ghcr.io/huggingface/text-generation-inference:3.0",
             "resources": {"limits": {"cpu": 4}}}),
            job(env(NVIDIA_VISIBLE_DEVICES="0,1")),
        ),
        (
            deployment(VLLM),
            deployment({"image": "vllm/vllm-openai-cpu:v0.9.1"}),
            deployment({"image": "vllm/vllm-openai:v0.9.1", "args": ["--device", "cpu"]}),
            pod({"image": "vllm/vllm-openai:v0.9.1"}, runtimeClassName="nvidia"),
            pod(env(NVIDIA_VISIBLE_DEVICES="void")),
            deployment(env(NVIDIA_VISIBLE_DEVICES="all"), kind="DaemonSet"),
            pod({"resources": {"limits": {"amd.com/gpu": 1}}, **env(NVIDIA_VISIBLE_DEVICES="all")}),
            runtime({}),
            patch({"image": "vllm/vllm-openai:v1"}),
        ),
    ),
    "LDK005": (
        (
            job(TORCHRUN),
            bounded({"command": ["python", "train.py", "--num_workers", "8"]}, volumes=[MEMORY]),
            job({"command": ["bash", "-c", "set -e\ndeepspeed train.py"],
             "resources": {"limits": {"nvidia.com/gpu": 8}}}),
        ),
        (
            job(TORCHRUN | {"volumeMounts": [SHM]}, volumes=[MEMORY]),
            job(TORCHRUN, hostIPC=True),
            job({"command": ["torchrun", "--nproc-per-node=1", "train.py"]}),
            job({"command": ["python", "train.py", "--num-workers=0"]}),
            job({"command": ["python", "prepare.py", "--num-workers=4"]}),
            deployment(TORCHRUN),
        ),
    ),
    "LDK006": (
        (
            pod({}, volumes=[{"name": "a", "emptyDir": {"medium": "Memory"}}]),
            job({}, volumes=[{"name": "a", "emptyDir": {"medium": "Memory", "x": "y"}}]),
            deployment(
                {"resources": {"limits": {"memory": "8Gi"}}},
                volumes=[{"name": "a", "emptyDir": {"medium": "Memory"}}],
            ),
        ),
        tuple(
            pod({}, volumes=[{"name": "a", "emptyDir": folder}])
            for folder in ({"medium": "Memory", "sizeLimit": "1Gi"}, {}, {"sizeLimit": "1Gi"})
        ),
    ),
    "LDK007": (
        (
            deployment(VLLM | {"securityContext": {"privileged": True}}),
            job(TRAIN | {"securityContext": {"capabilities": {"add": ["IPC_LOCK", "SYS_PTRACE"]}}}),
            job(TRAIN, hostIPC=True),
        ),
        (
            job(TRAIN | {"securityContext": {"capabilities": {"add": ["IPC_LOCK"]}}}, hostNetwork=True),
            deployment({"securityContext": {"privileged": True}, "resources": GPU}, kind="DaemonSet"),
            pod({"command": ["sh"], "securityContext": {"privileged": True}}),
            job(TRAIN | {"securityContext": {"privileged": False}}, hostIPC=False),
        ),
    ),
    "LDK008": (
        (
            deployment(VLLM | probe()),
            deployment(VLLM | probe(initialDelaySeconds=30, periodSeconds=5)),
            deployment(UVICORN | probe("/readyz")),
            deployment({"command": ["vllm", "serve", "a/b"], "resources": GPU,
             "livenessProbe": {"tcpSocket": {"port": 8000}}}),
        ),
        (
            deployment(VLLM | probe() | PROBED),
            deployment(VLLM | probe(initialDelaySeconds=600)),
            deployment(VLLM | {"readinessProbe": {"httpGet": {"path": "/health", "port": 8000}}}),
            deployment(UVICORN | probe()),
            deployment({"command": ["node", "a.js"]} | probe("/ready")),
        ),
    ),
    "LDK009": (
        (
            deployment({"lifecycle": {"preStop": {"exec": {"command": ["sleep", "30"]}}}}),
            deployment(DRAIN),
            pod({"lifecycle": {"preStop": {"sleep": {"seconds": 60}}}}, terminationGracePeriodSeconds=60),
            deployment(DRAIN | {"lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c",
             "sleep 15; echo"]}}}},
                       terminationGracePeriodSeconds=40),
        ),
        (
            deployment({"lifecycle": {"preStop": {"exec": {"command": ["sleep", "10"]}}}}),
            deployment(DRAIN, terminationGracePeriodSeconds=60),
            deployment({"lifecycle": {"preStop": {"exec": {"command": ["sh", "-c",
             "while busy; do sleep 60; done"]}}}}),
            deployment({"lifecycle": {"preStop": {"httpGet": {"path": "/drain", "port": 80}}}}),
            deployment({"command": ["python", "app.py"]}, terminationGracePeriodSeconds=0),
        ),
    ),
    "LDK010": (
        (deployment(UVICORN), deployment(VLLM | {"ports": [{"containerPort": 8000}]}, replicas=3),
         deployment({"image": "tensorflow/serving:2.19.0", "ports": [{"containerPort": 8501}]})),
        (
            deployment(UVICORN | {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}),
            deployment({"command": ["uvicorn", "app:app"]}),
            deployment({"command": ["jupyter", "lab"], "ports": [{"containerPort": 8888}]}),
            deployment({"command": ["celery", "worker"], "ports": [{"containerPort": 1}]}),
            pod(UVICORN),
        ),
    ),
}  # fmt: skip
