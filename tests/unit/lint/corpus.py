"""A corpus of files made of patterns seen in the world, each with its own label: the rules that must fire.

The label was written with the pattern, never taken from what the linter says. A Dockerfile is one base, some
lines, one start; a compose file is some services. Words in small letters say what a pattern is, where a rule
asks for several of them. A fixed seed; no file system.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from random import Random

SEED = 20261125
WRITTEN = Path(__file__).parent / "written"
KEY = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    text: str
    expected: frozenset[str]


Pattern = tuple[str, str]
"""Text, and the rules it must be caught by, apart by blanks."""

BASES: tuple[Pattern, ...] = (
    ("FROM python:3.12-slim-bookworm", "known"),
    ("ARG PYTHON=3.11\nFROM python:${PYTHON}-slim AS runtime", "known"),
    ("# syntax=docker/dockerfile:1\nFROM --platform=linux/amd64 python:3.13", "known"),
    ("FROM pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime", "known"),
    ("FROM nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04", "known cuda"),
    ("ARG CUDA=12.8.1\nFROM nvidia/cuda:${CUDA}-base-ubuntu24.04", "known"),
    ("FROM nvcr.io/nvidia/pytorch:24.10-py3", ""),
    ("FROM tensorflow/tensorflow:2.19.0-gpu", "known"),
    ("FROM continuumio/miniconda3:24.9.2-0", "known"),
    ("ARG BASE\nFROM ${BASE}", ""),
    ("FROM debian:stable-slim", "known"),
    ("FROM golang:1.23 AS build\nRUN go build -o /a ./...\nFROM ubuntu:24.04\n"
     "COPY --from=build /a /a", "known"),
    ("FROM nvidia/cuda:12.4.1-devel-ubuntu22.04 AS build\nRUN make -j\nFROM python:3.12-slim\n"
     "COPY --from=build /lib/k.so /lib/", "known"),
    ("FROM python:3.7-slim", "LDD007 known"),
    ("FROM docker.io/library/python:3.8", "LDD007 known"),
    ("FROM nvidia/cuda:latest", "LDD004 known"),
    ("FROM tensorflow/tensorflow:latest-gpu", "LDD040 known"),
    ("FROM pytorch/torchserve:0.12.0-gpu", "LDD037"),
    ("FROM nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04", "LDD001 known"),
    ("FROM nvidia/cuda:11.4.2-runtime-ubuntu20.04", "LDD005 known cuda"),
    ("# syntax=acme/frontend:2\nFROM debian:12-slim", "LDD033 known"),
)  # fmt: skip
LINES: tuple[Pattern, ...] = (
    ("ENV PYTHONUNBUFFERED=1 \\\n    # no bytecode\n    PYTHONDONTWRITEBYTECODE=1", "unbuffered"),
    ("RUN apt-get update && apt-get install -y --no-install-recommends git curl \\\n"
     "    && rm -rf /var/lib/apt/lists/*", ""),
    ("RUN apt-get update \\\n\n  # tools\n  && apt-get install -y ffmpeg", "system"),
    ("RUN --mount=type=cache,target=/root/.cache/pip pip install torch==2.6.0", "torch"),
    ("RUN <<EOF\nset -e\npip install numpy\nEOF", ""),
    ("RUN curl -sSL https://x.example/a?b=1\\&c=2 -o /a", ""),
    ("RUN set -eux; for f in a b; do echo \"$f\" >&2; done", ""),
    ("RUN python -c 'import os; print(os.sep)' 2>&1 | tee /log", ""),
    ("RUN (redis-server &) && sleep 1 && redis-cli ping", ""),
    ("ARG HF_TOKEN\nRUN --mount=type=secret,id=hf python -V", ""),
    ("ENV HF_HOME=/cache/hf WANDB_MODE=offline WANDB_API_KEY=", ""),
    ("ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility", ""),
    ("ENV CUDA_VISIBLE_DEVICES=\"\"", "hidden"),
    ("LABEL org.opencontainers.image.source=\"https://x.example/y\"", ""),
    ("WORKDIR /app", ""),
    ("VOLUME [\"/sys/fs/cgroup\", \"/data\"]", ""),
    ("SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]", ""),
    ("SHELL [\"conda\", \"run\", \"-n\", \"x\", \"/bin/bash\", \"-c\"]", "shell"),
    ("COPY <<'EOF' /etc/a.conf\nRUN not & an instruction\nEOF", ""),
    ("HEALTHCHECK --interval=30s CMD curl -f http://localhost:8000/health || exit 1", "check"),
    ("ENV CUDA_VISIBLE_DEVICES=0", "LDD032 shown"),
    ("ENV A=b CUDA_VISIBLE_DEVICES=0,1", "LDD032 shown"),
    ("RUN apt-get update & apt-get install -y git", "LDD009"),
    (f"ENV WANDB_API_KEY={KEY}", "LDD016"),
    (f"ARG KAGGLE_KEY={KEY}", "LDD016"),
    ("WORKDIR /proc/self/fd/7", "LDD034"),
    ("RUN pip install 'torchserve>=0.9'", "LDD037"),
    ("ENV OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false", "one"),
    ("ENV OMP_NUM_THREADS=8", "LDD029"),
    ("COPY models/best.onnx /models/", ""),
    ("COPY models/best.pt /models/", "LDD014"),
    ("COPY best.onnx serve.py /app/", "LDD013"),
    ("RUN huggingface-cli download acme/m --revision 0123abc", ""),
    ("RUN wget -q https://w.example/a.onnx -O /a.onnx", "LDD015"),
    ("RUN pip install --extra-index-url https://pypi.acme.example/simple acme==1", "LDD035"),
    ("RUN pip install --index-url https://pypi.acme.example/simple acme==1", ""),
    ("RUN conda install -y numpy && conda clean -afy", "system"),
    ("RUN conda install -y numpy", "LDD027 system"),
    ("EXPOSE 5000", "port"),
)  # fmt: skip
STARTS: tuple[Pattern, ...] = (
    ("CMD [\"uvicorn\", \"app:app\", \"--host\", \"0.0.0.0\"]", "LDD020 server python"),
    ("CMD exec gunicorn --bind :$PORT --workers 1 app:app", "LDD020 server python"),
    ("ENTRYPOINT [\"python\", \"-u\", \"train.py\"]\nCMD [\"--epochs\", \"3\"]", ""),
    ("USER 1000\nCMD [\"bash\"]", ""),
    ("ENTRYPOINT []\nCMD [\"sh\", \"-c\", \"python a.py & wait\"]", ""),
    ("COPY . .\nCMD python main.py", "python"),
    ("CMD [\"flask\", \"run\", \"--host\", \"0.0.0.0\"]", "LDD019 python"),
    ("CMD uvicorn app:app --reload --port 80", "LDD019 python number"),
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
     "    command: start-notebook.sh --NotebookApp.token=''\n", "here"),
    (f"    image: a:1\n{GPU}              count: all\n              capabilities: [gpu]\n", ""),
    (f"    image: a:1\n{GPU}              device_ids: [\"0\"]\n              capabilities: [gpu]\n", ""),
    ("    image: a:1\n    environment:\n      - HF_TOKEN\n      - WANDB_API_KEY=${WANDB_API_KEY}\n", ""),
    ("    image: a:1\n    gpus: all\n    shm_size: 1gb\n", ""),
    (f"    image: a:1\n{GPU}              count: 1\n", "LDC001"),
    (f"    image: a:1\n{GPU}              count: 1\n              device_ids: [\"0\"]\n"
     "              capabilities: [gpu]\n", "LDC002"),
    ("    image: minio/minio:v1\n    ports:\n      - 9000:9000\n    environment:\n"
     "      - MINIO_ROOT_PASSWORD=minioadmin\n", "LDC006 LDC008"),
    ("    image: jupyter/base:1\n    ports: [\"8888:8888\"]\n"
     "    command: [start-notebook.sh, \"--ServerApp.token=''\"]\n", "LDC006 LDC008 everywhere"),
    (f"    image: a:1\n    environment:\n      WANDB_API_KEY: {KEY}\n", "LDC007"),
    ("    image: acme/lm:1\n    gpus: all\n    command: torchrun train.py\n", "LDC004"),
    ("    image: acme/lm:1\n    gpus: all\n    ipc: host\n    command: torchrun train.py\n", ""),
    ("    image: vllm/vllm-openai:v0.6.6\n    restart: always\n", "LDC003"),
    ("    image: acme/sk:1\n    restart: always\n    command: python -m jobs.train\n", "LDC014"),
    ("    image: acme/sk:1\n    restart: on-failure\n    command: python train.py\n"
     "    volumes: [\"./datasets:/datasets\"]\n", "LDC005"),
    ("    image: a:1\n    cpus: 2\n    environment: {OMP_NUM_THREADS: \"8\"}\n", "LDC013"),
    ("    image: a:1\n    cpus: 2\n    environment: {OMP_NUM_THREADS: \"2\"}\n", ""),
    ("    image: a:1\n    restart: always\n    command: gunicorn --graceful-timeout 60 a:b\n", "LDC012"),
    ("    image: ollama/ollama:0.5.4\n    healthcheck: {test: curl -f http://localhost:11434}\n", "LDC011"),
    ("    image: redis:7\n    healthcheck: {test: [CMD, redis-cli, ping]}\n", ""),
)  # fmt: skip


COMMANDS = frozenset({"LDD009", "LDD015", "LDD027", "LDD035"})
"""Rules that read the commands of RUN: another shell than sh is another language, and they say nothing."""


def dockerfile_labels(parts: list[Pattern]) -> frozenset[str]:
    """What must be said of the parts together."""
    labels = {label for _, written in parts for label in written.split()}
    if "shell" in labels:
        labels -= COMMANDS | {"torch"}
        if not any("torchserve" in text for text, _ in parts if text.startswith(("FROM", "ARG"))):
            labels.discard("LDD037")
    if any(text.startswith("SHELL") for text, _ in parts):
        labels.discard("LDD001")
    if any("<<EOF" in text and text.startswith("RUN") for text, _ in parts):
        labels.discard("LDD001")  # a script that could compile
    if {"server", "known"} <= labels and "check" not in labels:
        labels.add("LDD021")
    if {"python", "known"} <= labels and "unbuffered" not in labels:
        labels.add("LDD028")
    if {"port", "number"} <= labels:
        labels.add("LDD022")
    if {"torch", "cuda"} <= labels and "system" not in labels:
        labels.add("LDD002")
    gpus = [word for _, written in parts for word in written.split() if word in {"hidden", "shown"}]
    if gpus[-1:] == ["hidden"] and "torch" in labels:
        labels.add("LDD003")
    threads = [word for _, written in parts for word in written.split() if word in {"one", "LDD029"}]
    if threads[-1:] == ["one"]:
        labels.discard("LDD029")  # the last ENV holds
    return frozenset(label for label in labels if label.startswith("LD"))


def dockerfiles(count: int, random: Random) -> list[Sample]:
    made = []
    for number in range(count):
        parts = [random.choice(BASES), *random.sample(LINES, random.randint(2, 6)), random.choice(STARTS)]
        text = "\n".join(text for text, _ in parts) + "\n"
        made.append(Sample(f"d{number}/Dockerfile", text, dockerfile_labels(parts)))
    return made


def compose_files(count: int, random: Random) -> list[Sample]:
    made = []
    for number in range(count):
        parts = random.sample(SERVICES, random.randint(1, 4))
        text = "services:\n" + "".join(f"  s{index}:\n{part}" for index, (part, _) in enumerate(parts))
        labels = {label for _, written in parts for label in written.split()}
        if {"everywhere", "here"} <= labels:
            labels.add("LDC010")  # both publish 8888
        found = frozenset(label for label in labels if label.startswith("LD"))
        made.append(Sample(f"c{number}/compose.yaml", text, found))
    return made


def written() -> list[Sample]:
    """The files written by hand, by path; their labels stand beside them."""
    labels = tomllib.loads((WRITTEN / "labels.toml").read_text("utf-8"))
    return [
        Sample(str(WRITTEN / name), (WRITTEN / name).read_bytes().decode(), frozenset(rules))
        for name, rules in labels.items()
    ]


def corpus() -> list[Sample]:
    random = Random(SEED)
    return dockerfiles(200, random) + compose_files(80, random)
