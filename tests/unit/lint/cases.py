"""For each rule, texts it must catch and texts it must leave alone. The label was written before
the rule saw them.
"""

from __future__ import annotations

from lint import cases_compose, cases_docker

SLIM = "FROM python:3.12-slim\n"
CUDA = "FROM nvidia/cuda:12.4.1-runtime-ubuntu22.04\n"


def device(lines: str) -> str:
    return (
        "services:\n  a:\n    image: x:1\n    deploy:\n      resources:\n        "
        "reservations:\n"
        "          devices:\n"
        f"            - {lines}\n"
    )


def service(lines: str) -> str:
    return f"services:\n  a:\n    image: x:1\n{lines}"


IN = " " * 14
DOCKERFILES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "LDD001": (
        (
            "FROM nvidia/cuda:12.4.1-devel-ubuntu22.04\nRUN pip install torch==2.6.0\n",
            "ARG V=12.4.1\nFROM docker.io/nvidia/cuda:${V}-cudnn-devel-ubuntu22.04\nCOPY a /a\n",
            "FROM python:3.12 AS b\nFROM nvidia/cuda:12.4.1-devel-ubuntu22.04\nCOPY --from=b /a /a\n",
        ),
        (
            CUDA,
            "FROM nvidia/cuda:12.4.1-devel-ubuntu22.04 AS b\nRUN make\n" + CUDA + "COPY --from=b /a /a\n",
            "FROM nvidia/cuda:12.4.1-devel-ubuntu22.04\nRUN nvcc a.cu\n",
            "FROM nvidia/cuda:12.4.1-devel-ubuntu22.04\nRUN pip install vllm==0.9.0\n",
            "ARG IMAGE\nFROM $IMAGE\n",
        ),
    ),
    "LDD004": (
        ("FROM nvidia/cuda\n", "FROM nvidia/cuda:latest\n", "FROM docker.io/nvidia/cuda AS b\n"),
        (CUDA, "FROM nvidia/cuda@sha256:" + "0" * 64 + "\n", "FROM localhost:5000/nvidia/cuda\n"),
    ),
    "LDD007": (
        ("FROM python:3.7-slim\n", "FROM python:2.7\n", "ARG P=3.8\nFROM python:$P-slim\n"),
        (
            SLIM,
            "FROM python:3.10\n",
            "FROM acme/python:3.7\n",
            "FROM python:3-slim\n",
            "ARG P\nFROM python:$P\n",
        ),
    ),
    "LDD008": (
        (
            "FROM python:3.12-alpine\nRUN pip install torch\n",
            "FROM alpine:3.20\nRUN apk add py3-pip && pip3 install --no-cache-dir tensorflow==2.19\n",
            "FROM python:3.12-alpine AS a\nFROM a\nRUN python -m pip install vllm\n",
        ),
        (
            SLIM + "RUN pip install torch\n",
            "FROM python:3.12-alpine\nRUN pip install numpy onnxruntime-tools\n",
            "FROM python:3.12-alpine\nRUN echo pip install torch\n",
            "FROM python:3.12-alpine\nRUN pip install --index-url https://w.example/musl torch\n",
        ),
    ),
    "LDD009": (
        (
            "FROM debian:12\nRUN apt-get update & apt-get install -y git\n",
            "FROM debian:12\nRUN apt-get update \\\n  # why\n  & apt-get install -y git\n",
            SLIM + "RUN pip install torch & pip install x\n",
        ),
        (
            "FROM debian:12\nRUN apt-get update && apt-get install -y git\n",
            "FROM debian:12\nRUN apt-get update > /dev/null 2>&1 && true\n",
            "FROM debian:12\nRUN mysqld & sleep 5 && mysql < a.sql\n",
            SLIM + "RUN pip install a & pip install b & wait\n",
        ),
    ),
    "LDD010": (
        (
            SLIM + "COPY . .\nRUN pip install -r requirements.txt\n",
            SLIM + "WORKDIR /app\nADD . /app\nRUN pip install --no-cache-dir -r /app/requirements.txt\n",
            SLIM + "COPY ./ /app/\nRUN python3 -m pip install -r app/requirements.txt && rm -r /tmp/x\n",
        ),
        (
            SLIM + "COPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\n",
            SLIM + "COPY . .\nRUN pip install .\n",
            SLIM + "COPY . .\nRUN pip install -r requirements.txt -e .\n",
            SLIM + "COPY --from=build . .\nRUN pip install -r requirements.txt\n",
            SLIM + "COPY requirements.txt .\nCOPY . .\nRUN pip install -r requirements.txt\n",
        ),
    ),
    "LDD016": (
        (
            SLIM + "ENV WANDB_API_KEY=0123456789abcdef0123456789abcdef01234567\n",
            SLIM + "ENV A=1 \\\n    KAGGLE_KEY=9f8e7d6c5b4a39281706f5e4d3c2b1a0\n",
            SLIM + "ARG HF_TOKEN\nENV HF_TOKEN=$HF_TOKEN\n",
            SLIM + "ENV API_TOKEN=abc123secret\n",
        ),
        (
            SLIM + "ENV API_TOKEN=changeme DB_PASSWORD=password123 SECRET=app-v1-secret\n",
            SLIM
            + "ENV API_TOKEN_FILE=/run/secrets/t0ken EOS_TOKEN=endoftext151643 TOKEN=arn:aws:s3:1a2b3c\n",
            SLIM
            + "ARG T\nENV API_KEY=pre-${T}-12ab34 DB_PASSWORD=example-1a2b3c MINIO_SECRET_KEY=minio123\n",
            SLIM + "ARG HF_TOKEN\nRUN --mount=type=secret,id=hf python fetch.py\n",
            SLIM + "ENV WANDB_API_KEY=your-api-key-goes-here\n",
            SLIM + 'ENV HF_TOKEN=""\n',
            SLIM + "ENV HF_TOKEN=${HF_TOKEN}\n",
            SLIM + "ENV HF_TOKEN_PATH=/run/secrets/hf_file\n",
        ),
    ),
    "LDD019": (
        (
            SLIM + 'CMD ["flask", "run", "--host=0.0.0.0"]\n',
            SLIM + "CMD uvicorn app:app --reload\n",
            SLIM + 'ENTRYPOINT ["python", "-m", "flask", "--app", "a", "run"]\n',
        ),
        (
            SLIM + 'CMD ["gunicorn", "app:app"]\n',
            SLIM + 'CMD ["python", "run.py", "--reload"]\n',
            "FROM python:3.12-slim AS dev\nCMD uvicorn app:app --reload\n",
            "FROM python:3.12 AS a\nCMD flask run\n" + SLIM + "CMD uvicorn app:app\n",
        ),
    ),
    "LDD023": (
        (SLIM + 'ENTRYPOINT ["python",""]\n', SLIM + 'CMD ["python3", " "]\n', SLIM + 'CMD [""]\n'),
        (
            SLIM + 'ENTRYPOINT ["python", "a.py"]\n',
            SLIM + "CMD []\n",
            SLIM + 'CMD ["echo", ""]\n',
            SLIM + 'CMD ["python", "-c", ""]\n',
        ),
    ),
    "LDD032": (
        (
            CUDA + "ENV CUDA_VISIBLE_DEVICES=0\n",
            CUDA + "ENV CUDA_VISIBLE_DEVICES 0,1\n",
            CUDA + "ENV A=1 \\\n  CUDA_VISIBLE_DEVICES=2\n",
        ),
        (
            CUDA + 'ENV CUDA_VISIBLE_DEVICES=""\n',
            CUDA + "ENV CUDA_VISIBLE_DEVICES=-1\n",
            CUDA + "ENV NVIDIA_VISIBLE_DEVICES=all\n",
            CUDA + "RUN CUDA_VISIBLE_DEVICES=0 python warm.py\n",
        ),
    ),
    "LDD034": (
        (
            "FROM debian:12\nWORKDIR /proc/self/fd/8\n",
            "FROM debian:12\nWORKDIR /sys/fs\n",
            "FROM debian:12\nWORKDIR /app/../dev/x\n",
        ),
        (
            "FROM debian:12\nWORKDIR /app\n",
            "FROM debian:12\nWORKDIR proc\n",
            'FROM debian:12\nVOLUME ["/sys/fs/cgroup"]\n',
        ),
    ),
    "LDD037": (
        (
            "FROM pytorch/torchserve:0.12.0-cpu\n",
            "FROM docker.io/pytorch/torchserve\n",
            SLIM + "RUN pip install torchserve==0.12.0 torch-model-archiver\n",
        ),
        (
            "FROM pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime\n",
            SLIM + "RUN pip install torch-model-archiver\n",
            SLIM + "RUN echo torchserve\n",
        ),
    ),
    "LDD039": (
        (
            SLIM + "RUN pip install onnxruntime-gpu\n",
            "FROM ubuntu:22.04\nRUN pip3 install onnxruntime-gpu==1.22.0 numpy\n",
            SLIM + "RUN <<EOF\npip install onnxruntime_gpu\nEOF\n",
        ),
        (
            CUDA + "RUN pip install onnxruntime-gpu\n",
            SLIM + 'RUN pip install "onnxruntime-gpu[cuda,cudnn]"\n',
            SLIM + "RUN pip install onnxruntime-gpu nvidia-cudnn-cu12\n",
            SLIM + "RUN pip install onnxruntime\n",
            SLIM + "RUN pip install torch onnxruntime-gpu\n",
        ),
    ),
    "LDD040": (
        (
            "FROM tensorflow/tensorflow:latest-gpu\n",
            "FROM pytorch/pytorch:nightly\n",
            "ARG T=latest-gpu-jupyter\nFROM tensorflow/tensorflow:$T\n",
        ),
        (
            "FROM tensorflow/tensorflow:2.19.0-gpu\n",
            "FROM tensorflow/tensorflow:latest-gpu@sha256:" + "0" * 64 + "\n",
            "FROM debian:stable-slim\n",
            "FROM python:latest\n",
        ),
    ),
}
COMPOSE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "LDC001": (
        (
            device("driver: nvidia\n" + IN + "count: 1"),
            device("driver: nvidia\n" + IN + 'device_ids: ["0"]'),
            device("{driver: nvidia, count: all}"),
        ),
        (
            device("driver: nvidia\n" + IN + "capabilities: [gpu]"),
            device("capabilities: [gpu]"),
            device("driver: cdi\n" + IN + "device_ids: [nvidia.com/gpu=all]"),
        ),
    ),
    "LDC002": (
        (
            device("count: 1\n" + IN + 'device_ids: ["0"]\n' + IN + "capabilities: [gpu]"),
            device('{driver: nvidia, count: all, device_ids: ["0", "1"], capabilities: [gpu]}'),
            device('device_ids: ["0"]\n' + IN + "count: 2\n" + IN + "capabilities: [gpu]"),
        ),
        (
            device("count: 1\n" + IN + "capabilities: [gpu]"),
            device('device_ids: ["0"]\n' + IN + "capabilities: [gpu]"),
            device("count: 1\n" + IN + "device_ids: []\n" + IN + "capabilities: [gpu]"),
        ),
    ),
    "LDC006": (
        (
            service('    ports: ["9000:9000"]\n    environment: {MINIO_ROOT_PASSWORD: minioadmin}\n'),
            service(
                "    ports:\n      - \"8888:8888\"\n    command: start-notebook.sh --NotebookApp.token=''\n"
            ),
            service('    ports: ["9000"]\n    environment:\n      - MINIO_SECRET_KEY=minioadmin\n'),
        ),
        (
            service(
                '    ports: ["127.0.0.1:9000:9000"]\n    environment: {MINIO_ROOT_PASSWORD: minioadmin}\n'
            ),
            service("    environment: {MINIO_ROOT_PASSWORD: minioadmin}\n"),
            service('    ports: ["9000:9000"]\n    environment: {MINIO_ROOT_PASSWORD: "${PASSWORD}"}\n'),
            service('    ports: ["8888:8888"]\n    command: jupyter lab --ServerApp.token=$TOKEN\n'),
        ),
    ),
    "LDC007": (
        (
            service("    environment:\n      KAGGLE_KEY: 9f8e7d6c5b4a39281706f5e4d3c2b1a0\n"),
            service("    environment:\n      - WANDB_API_KEY=0123456789abcdef0123456789abcdef01234567\n"),
            service("    environment: {MLFLOW_TRACKING_PASSWORD: correcthorsebattery}\n"),
            service("    environment:\n      DB_PASSWORD: hunter2hunter2\n"),
        ),
        (
            service("    environment:\n      - DB_PASSWORD=${DB_PASSWORD:-a1b2c3d4}\n"),
            service(
                "    environment: {DB_PASSWORD: airflow2024, API_KEY: sk-1234567890, TOKEN: xxx123xxx456}\n"
            ),
            service("    environment:\n      HF_TOKEN: ${HF_TOKEN:?}\n"),
            service("    environment:\n      - HF_TOKEN\n"),
            service("    environment: {WANDB_API_KEY: changeme}\n"),
        ),
    ),
}
CASES = {
    **{rule: ("Dockerfile", *cases) for rule, cases in DOCKERFILES.items()},
    **{rule: ("compose.yaml", *cases) for rule, cases in COMPOSE.items()},
    **{rule: ("Dockerfile", *cases) for rule, cases in cases_docker.DOCKERFILES.items()},
    **{rule: ("compose.yaml", *cases) for rule, cases in cases_compose.COMPOSE.items()},
}
