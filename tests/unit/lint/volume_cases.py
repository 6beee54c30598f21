"""For each rule over volumes, jobs and scaling, objects it must catch and objects it must leave alone.

The label was written before the rule saw them.
"""

from __future__ import annotations

from lint.manifest_cases import (
    CPU,
    DATASET,
    GPU,
    MEMORY,
    MOUNTS,
    QUEUE,
    READ_WRITE_ONCE,
    SEALED,
    SHM,
    TRAIN,
    UVICORN,
    VLLM,
    Objects,
    argo,
    bounded,
    claim,
    deployment,
    env,
    held,
    job,
    pod,
    scaled,
)

VOLUMES: dict[str, tuple[tuple[Objects, ...], tuple[Objects, ...]]] = {
    "LDK011": (
        (
            bounded({"command": ["python", "train.py", "--output-dir", "/out"]}),
            bounded({"command": ["torchrun", "train.py", "--checkpoint_dir=/ckpt/run"],
                     "volumeMounts": [{"name": "s", "mountPath": "/ckpt"}]}, volumes=[{"name": "s",
                      "emptyDir": {}}]),
            bounded({"command": ["sh", "-c", "cd /app && python train.py --save-dir /models"]}),
        ),
        (
            bounded({"command": ["python", "train.py", "--output-dir", "/out"],
                     "volumeMounts": [{"name": "work", "mountPath": "/out"}]}, **held()),
            bounded({"command": ["python", "train.py", "--output-dir", "out"]}),
            bounded({"command": ["sh", "-c", "python train.py --save-dir /m && aws s3 sync /m s3://b"]}),
            bounded({"command": ["python", "train.py", "--output-dir",
             "/out"]} | env(MLFLOW_TRACKING_URI="http://m")),
            bounded({"command": ["python", "prepare.py", "--output-dir", "/out"]}),
            bounded({"command": ["python", "train.py", "--output-dir", "s3://b/out"]}),
        ),
    ),
    "LDK012": (
        (
            (claim("ReadWriteOnce"), *deployment({}, replicas=2, **held())),
            (claim("ReadWriteOnce"), *job({}, {"parallelism": 4}, **held())),
            argo({"volumeClaimTemplates": [READ_WRITE_ONCE], "templates": [
                {"name": "m", "steps": [[{"name": "a", "template": "t"}, {"name": "b", "template": "t"}]]},
                {"name": "t"} | MOUNTS]}),
            argo({"volumeClaimTemplates": [READ_WRITE_ONCE], "templates": [
                {"name": "m", "dag": {"tasks": [{"name": "a", "template": "t"}, {"name": "b",
                 "template": "t"}]}},
                {"name": "t"} | MOUNTS]}),
        ),
        (
            (claim("ReadWriteMany"), *deployment({}, replicas=2, **held())),
            (claim("ReadWriteOnce"), *deployment({}, **held())),
            (claim("ReadWriteOnce"), *deployment({}, replicas=2, nodeSelector={"a": "b"}, **held())),
            (claim("ReadWriteOnce"), *deployment({}, kind="StatefulSet", replicas=2)),
            argo({"volumeClaimTemplates": [READ_WRITE_ONCE], "templates": [
                {"name": "m", "dag": {"tasks": [{"name": "a", "template": "t"},
                                                {"name": "b", "template": "t",
                                                 "depends": "a.Succeeded || a.Failed"}]}},
                {"name": "t"} | MOUNTS]}),
            argo({"volumeClaimTemplates": [READ_WRITE_ONCE], "templates": [
                {"name": "m", "steps": [[{"name": "a", "template": "t"}], [{"name": "b", "template": "t"}]]},
                {"name": "t"} | MOUNTS]}),
        ),
    ),
    "LDK013": (
        (
            bounded(TRAIN | DATASET, **held("dataset")),
            bounded(TRAIN | {"volumeMounts": [{"name": "d", "mountPath": "/mnt/imagenet"}]}, volumes=[
                {"name": "d", "nfs": {"server": "n", "path": "/i"}}]),
            bounded(TRAIN | {"volumeMounts": [{"name": "train-data", "mountPath": "/in"}]},
             **held("train-data")),
        ),
        (
            bounded(TRAIN | {"volumeMounts": [{"name": "dataset", "mountPath": "/d", "readOnly": True}]},
             **held("dataset")),
            bounded(TRAIN | DATASET, volumes=[{"name": "dataset", "emptyDir": {}}]),
            bounded({"command": ["python", "prepare.py"]} | DATASET, **held("dataset")),
            bounded(TRAIN | {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}, **held("data")),
            bounded({"command": ["python", "train.py", "--cache-dir", "/dataset/c"]} | DATASET,
             **held("dataset")),
            bounded(TRAIN | DATASET, initContainers=[{"name": "i", "image": "a:1"} | DATASET],
             **held("dataset")),
        ),
    ),
    "LDK014": (
        (job({"resources": GPU}), job({"resources": GPU}, {"backoffLimit": 2}),
         job({"resources": {"limits": {"nvidia.com/mig-1g.5gb": 1}}}, {"activeDeadlineSeconds": 9})),
        (bounded({"resources": GPU}), job({}), deployment({"resources": GPU}),
         job({"resources": GPU}, {"backoffLimit": 1}, activeDeadlineSeconds=9)),
    ),
    "LDK015": (
        (
            deployment(UVICORN | SEALED | env(HF_HOME="/cache")),
            deployment(SEALED | env(TRITON_CACHE_DIR="/root/.triton") | {"volumeMounts": [SHM]},
             volumes=[MEMORY]),
            pod(SEALED | env(MPLCONFIGDIR="/mpl")),
        ),
        (
            deployment(SEALED | env(HF_HOME="/cache/hf") | {"volumeMounts": [{"name": "c",
             "mountPath": "/cache"}]},
                       volumes=[{"name": "c", "emptyDir": {}}]),
            deployment(env(HF_HOME="/cache")),
            deployment(SEALED | env(HF_HOME="/models", HF_HUB_OFFLINE="1")),
            deployment(SEALED),
        ),
    ),
    "LDK016": (
        (
            pod(env(OMP_NUM_THREADS="32") | {"resources": {"limits": {"cpu": 4}}}),
            pod(env(MKL_NUM_THREADS="4") | {"resources": {"limits": {"cpu": "1500m"}}}),
            deployment(env(OPENBLAS_NUM_THREADS="2") | {"resources": {"limits": {"cpu": "0.5"}}}),
        ),
        (
            pod(env(OMP_NUM_THREADS="4") | {"resources": {"limits": {"cpu": 4}}}),
            pod(env(OMP_NUM_THREADS="3") | {"resources": {"limits": {"cpu": "2500m"}}}),
            pod(env(OMP_NUM_THREADS="32")),
            pod(env(OMP_NUM_THREADS="32") | {"resources": {"requests": {"cpu": 4}}}),
            pod(env(WORKERS="32") | {"resources": {"limits": {"cpu": 4}}}),
        ),
    ),
    "LDK017": (
        (
            pod({"image": "a/b:1-amd64"}, nodeSelector={"kubernetes.io/arch": "arm64"}),
            pod({"image": "arm64v8/python:3.12"}, nodeSelector={"kubernetes.io/arch": "amd64"}),
            pod({"image": "a/b-aarch64:1"}, nodeSelector={"beta.kubernetes.io/arch": "amd64"}),
        ),
        (
            pod({"image": "a/b:1-arm64"}, nodeSelector={"kubernetes.io/arch": "arm64"}),
            pod({"image": "a/b:1"}, nodeSelector={"kubernetes.io/arch": "arm64"}),
            pod({"image": "a/b:1-amd64"}),
            pod({"image": "a/farm64:1"}, nodeSelector={"kubernetes.io/arch": "amd64"}),
        ),
    ),
    "LDK018": (
        tuple(deployment({"command": words}) for words in (["--model", "x"], ["-m", "app"], ["--port=80"])),
        (deployment({"args": ["--model", "x"]}), deployment({"command": ["vllm", "serve"]}),
         deployment({"command": []})),
    ),
    "LDK019": (
        (
            (*deployment(VLLM), scaled([CPU])),
            (*deployment(VLLM, kind="StatefulSet"), scaled([CPU], kind="StatefulSet")),
            (*deployment({"resources": GPU}), {"apiVersion": "autoscaling/v1",
             "kind": "HorizontalPodAutoscaler", "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                 "targetCPUUtilizationPercentage": 70}}),
        ),
        (
            (*deployment(VLLM), scaled([QUEUE])),
            (*deployment(VLLM), scaled([CPU, QUEUE])),
            (*deployment(UVICORN), scaled([CPU])),
            (*deployment(VLLM), scaled([CPU], kind="StatefulSet")),
        ),
    ),
    "LDK020": (
        tuple(pod({}, volumes=[{"name": "m", "hostPath": {"path": path}}])
              for path in ("/mnt/models", "/usr/local/nvidia/lib64", "/home/ml/.cache/huggingface")),
        (
            pod({}, volumes=[{"name": "m", "hostPath": {"path": "/var/log"}}]),
            pod({}, **held()),
            deployment({}, kind="DaemonSet", volumes=[{"name": "m", "hostPath": {"path": "/mnt/models"}}]),
            pod({}, volumes=[{"name": "m", "hostPath": {"path": "/dev/shm"}}]),
        ),
    ),
}  # fmt: skip
