"""A corpus of files made of patterns seen in the world, each with its own label: the rules that must fire.

The label was written with the pattern, never taken from what the linter says. A Dockerfile is one base, some
lines, one start; a compose file is some services. A fixed seed; no file system.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

SEED = 20261125
KEY = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    text: str
    expected: frozenset[str]


Pattern = tuple[str, str]
"""Text, and the rules it must be caught by, apart by blanks."""

BASES: tuple[Pattern, ...] = (
    ("FROM python:3.12-slim-bookworm", ""),
    ("ARG PYTHON=3.11\nFROM python:${PYTHON}-slim AS runtime", ""),
    ("# syntax=docker/dockerfile:1\nFROM --platform=linux/amd64 python:3.13", ""),
    ("FROM pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime", ""),
    ("FROM nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04", ""),
    ("ARG CUDA=12.8.1\nFROM nvidia/cuda:${CUDA}-base-ubuntu24.04", ""),
    ("FROM nvcr.io/nvidia/pytorch:24.10-py3", ""),
    ("FROM tensorflow/tensorflow:2.19.0-gpu", ""),
    ("FROM continuumio/miniconda3:24.9.2-0", ""),
    ("ARG BASE\nFROM ${BASE}", ""),
    ("FROM debian:stable-slim", ""),
    ("FROM golang:1.23 AS build\nRUN go build -o /a ./...\nFROM ubuntu:24.04\nCOPY --from=build /a /a", ""),
    ("FROM nvidia/cuda:12.4.1-devel-ubuntu22.04 AS build\nRUN make -j\nFROM python:3.12-slim\n"
     "COPY --from=build /lib/k.so /lib/", ""),
    ("FROM python:3.7-slim", "LDD007"),
    ("FROM docker.io/library/python:3.8", "LDD007"),
    ("FROM nvidia/cuda:latest", "LDD004"),
    ("FROM tensorflow/tensorflow:latest-gpu", "LDD040"),
    ("FROM pytorch/torchserve:0.12.0-gpu", "LDD037"),
    ("FROM nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04", "LDD001"),
)  # fmt: skip
LINES: tuple[Pattern, ...] = (
    ("ENV PYTHONUNBUFFERED=1 \\\n    # no bytecode\n    PYTHONDONTWRITEBYTECODE=1", ""),
    ("RUN apt-get update && apt-get install -y --no-install-recommends git curl \\\n"
     "    && rm -rf /var/lib/apt/lists/*", ""),
    ("RUN apt-get update \\\n\n  # tools\n  && apt-get install -y ffmpeg", ""),
    ("RUN --mount=type=cache,target=/root/.cache/pip pip install torch==2.6.0", ""),
    ("RUN <<EOF\nset -e\npip install numpy\nEOF", ""),
    ("RUN curl -sSL https://x.example/a?b=1\\&c=2 -o /a", ""),
    ("RUN set -eux; for f in a b; do echo \"$f\" >&2; done", ""),
    ("RUN python -c 'import os; print(os.sep)' 2>&1 | tee /log", ""),
    ("RUN (redis-server &) && sleep 1 && redis-cli ping", ""),
    ("ARG HF_TOKEN\nRUN --mount=type=secret,id=hf python -V", ""),
    ("ENV HF_HOME=/cache/hf WANDB_MODE=offline WANDB_API_KEY=", ""),
    ("ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility", ""),
    ("ENV CUDA_VISIBLE_DEVICES=\"\"", ""),
    ("LABEL org.opencontainers.image.source=\"https://x.example/y\"", ""),
    ("WORKDIR /app", ""),
    ("VOLUME [\"/sys/fs/cgroup\", \"/data\"]", ""),
    ("SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]", "shell"),
    ("COPY <<'EOF' /etc/a.conf\nRUN not & an instruction\nEOF", ""),
    ("HEALTHCHECK --interval=30s CMD curl -f http://localhost:8000/health || exit 1", ""),
    ("ENV CUDA_VISIBLE_DEVICES=0", "LDD032"),
    ("ENV A=b CUDA_VISIBLE_DEVICES=0,1", "LDD032"),
    ("RUN apt-get update & apt-get install -y git", "LDD009"),
    (f"ENV WANDB_API_KEY={KEY}", "LDD016"),
    (f"ARG KAGGLE_KEY={KEY}", "LDD016"),
    ("WORKDIR /proc/self/fd/7", "LDD034"),
    ("RUN pip install 'torchserve>=0.9'", "LDD037"),
)  # fmt: skip
STARTS: tuple[Pattern, ...] = (
    ("CMD [\"uvicorn\", \"app:app\", \"--host\", \"0.0.0.0\"]", ""),
    ("CMD exec gunicorn --bind :$PORT --workers 1 app:app", ""),
    ("ENTRYPOINT [\"python\", \"-u\", \"train.py\"]\nCMD [\"--epochs\", \"3\"]", ""),
    ("USER 1000\nCMD [\"bash\"]", ""),
    ("ENTRYPOINT []\nCMD [\"sh\", \"-c\", \"python a.py & wait\"]", ""),
    ("COPY . .\nCMD python main.py", ""),
    ("CMD [\"flask\", \"run\", \"--host\", \"0.0.0.0\"]", "LDD019"),
    ("CMD uvicorn app:app --reload --port 80", "LDD019"),
    ("ENTRYPOINT [\"python\", \"\"]", "LDD023"),
)  # fmt: skip
GPU = (
    "    deploy:\n      resources:\n        reservations:\n          devices:\n            - driver: nvidia\n"
)
SERVICES: tuple[Pattern, ...] = (
    ("    build: .\n    volumes: [\"./data:/data:ro\"]\n", ""),
    ("    image: postgres:16\n    environment:\n      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}\n", ""),
    ("    image: minio/minio:v1\n    environment: {MINIO_ROOT_PASSWORD: minioadmin}\n", ""),
    ("    image: jupyter/base:1\n    ports: [\"127.0.0.1:8888:8888\"]\n"
     "    command: start-notebook.sh --NotebookApp.token=''\n", ""),
    (f"    image: a:1\n{GPU}              count: all\n              capabilities: [gpu]\n", ""),
    (f"    image: a:1\n{GPU}              device_ids: [\"0\"]\n              capabilities: [gpu]\n", ""),
    ("    image: a:1\n    environment:\n      - HF_TOKEN\n      - WANDB_API_KEY=${WANDB_API_KEY}\n", ""),
    ("    image: a:1\n    gpus: all\n    shm_size: 1gb\n", ""),
    (f"    image: a:1\n{GPU}              count: 1\n", "LDC001"),
    (f"    image: a:1\n{GPU}              count: 1\n              device_ids: [\"0\"]\n"
     "              capabilities: [gpu]\n", "LDC002"),
    ("    image: minio/minio:v1\n    ports:\n      - 9000:9000\n    environment:\n"
     "      - MINIO_ROOT_PASSWORD=minioadmin\n", "LDC006"),
    ("    image: jupyter/base:1\n    ports: [\"8888:8888\"]\n"
     "    command: [start-notebook.sh, \"--ServerApp.token=''\"]\n", "LDC006"),
    (f"    image: a:1\n    environment:\n      WANDB_API_KEY: {KEY}\n", "LDC007"),
)  # fmt: skip


def dockerfiles(count: int, random: Random) -> list[Sample]:
    made = []
    for number in range(count):
        parts = [random.choice(BASES), *random.sample(LINES, random.randint(2, 6)), random.choice(STARTS)]
        labels = {label for _, written in parts for label in written.split()}
        if "shell" in labels:
            labels -= {"shell", "LDD009"}  # another shell: commands are not read
            if not any("torchserve" in text for text, _ in parts if text.startswith(("FROM", "ARG"))):
                labels.discard("LDD037")
        if any(text.startswith("SHELL") for text, _ in parts):
            labels.discard("LDD001")
        if any("<<EOF" in text and text.startswith("RUN") for text, _ in parts):
            labels.discard("LDD001")  # a script that could compile
        text = "\n".join(text for text, _ in parts) + "\n"
        made.append(Sample(f"d{number}/Dockerfile", text, frozenset(labels)))
    return made


def compose_files(count: int, random: Random) -> list[Sample]:
    made = []
    for number in range(count):
        parts = random.sample(SERVICES, random.randint(1, 4))
        text = "services:\n" + "".join(f"  s{index}:\n{part}" for index, (part, _) in enumerate(parts))
        labels = frozenset(label for _, written in parts for label in written.split())
        made.append(Sample(f"c{number}/compose.yaml", text, labels))
    return made


def corpus() -> list[Sample]:
    random = Random(SEED)
    return dockerfiles(200, random) + compose_files(80, random)
