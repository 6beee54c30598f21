"""What each mend writes, in full: the text before, and the text after."""

from __future__ import annotations

import pytest
import yaml

from lading.inspect.lint.dockerfile import read_dockerfile
from lading.inspect.lint.engine import lint_text
from lading.inspect.lint.fix import mended

SLIM = "FROM python:3.12-slim\n"
CONDA = "FROM continuumio/miniconda3:24.9.2-0\n"
CHECK = (
    'HEALTHCHECK --interval=30s --timeout=5s --start-period=120s CMD ["python", "-c", '
    "\"import socket; socket.create_connection(('127.0.0.1', 80), 3)\"]\n"
)
DB = "services:\n  db:\n    image: postgres:16\n    healthcheck: {test: x}\n  a:\n    image: a:1\n"
WRITTEN_OUT: dict[str, tuple[tuple[str, str], ...]] = {
    "LDD003": (
        (
            "FROM python:3.12-slim AS cpu\nRUN pip install --no-cache-dir 'torch>=2.2' torchvision\n",
            "FROM python:3.12-slim AS cpu\nRUN pip install --no-cache-dir "
            "--index-url https://download.pytorch.org/whl/cpu 'torch>=2.2' torchvision\n",
        ),
    ),
    "LDD021": (
        (
            SLIM + "# how it starts\nCMD exec gunicorn -t 9 -b 0.0.0.0:80 a:b\n",
            SLIM + CHECK + "# how it starts\nCMD exec gunicorn -t 9 -b 0.0.0.0:80 a:b\n",
        ),
    ),
    "LDD022": (
        (
            SLIM + "EXPOSE 5000\nCMD uvicorn a:b --port 80\n",
            SLIM + "EXPOSE 80\nCMD uvicorn a:b --port 80\n",
        ),
    ),
    "LDD027": (
        (CONDA + "RUN conda install -y \\\n    numpy\n", CONDA + "RUN conda install -y \\\n"
            "    numpy && conda clean -afy\n"),
        (
            "FROM mambaorg/micromamba:2.0\nRUN micromamba install -y numpy  \n",
            "FROM mambaorg/micromamba:2.0\n"
            "RUN micromamba install -y numpy && micromamba clean --all --yes  \n",
        ),
    ),
    "LDD028": (
        (SLIM + "CMD python a.py\n", SLIM + "ENV PYTHONUNBUFFERED=1\nCMD python a.py\n"),
        (SLIM.replace("\n", "\r\n") + "CMD python a.py\r\n",
         SLIM.replace("\n", "\r\n") + "ENV PYTHONUNBUFFERED=1\r\nCMD python a.py\r\n"),
    ),
    "LDD030": (
        (
            SLIM + "ENV LD_LIBRARY_PATH=/usr/local/cuda/lib64:${LD_LIBRARY_PATH}\n"
                "RUN pip install torch==2.6.0\n",
            SLIM + "RUN pip install torch==2.6.0\n",
        ),
    ),
    "LDD031": (
        (
            SLIM + "RUN pip install vllm\nCMD [\"a\"]\n",
            SLIM + "RUN pip install vllm\n"
                "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility\n"
            "CMD [\"a\"]\n",
        ),
    ),
    "LDC004": (
        (
            "services:\n  a:\n    # why\n    image: x:1\n    command: torchrun t.py\n",
            "services:\n  a:\n    # why\n    image: x:1\n    command: torchrun t.py\n    shm_size: 1gb\n",
        ),
        (
            "services:\n  a:\n    command: torchrun t.py # why\n  b:\n    image: x:1\n",
            "services:\n  a:\n    command: torchrun t.py # why\n    shm_size: 1gb\n  b:\n    image: x:1\n",
        ),
        (
            "services:\n  a:\n    command: torchrun t.py\n    volumes:\n      - a:/a\n    tty: true\n",
            "services:\n  a:\n    command: torchrun t.py\n    volumes:\n      - a:/a\n    shm_size: 1gb\n"
            "    tty: true\n",
        ),
        (
            "services:\n  a:\n    command: torchrun t.py\n    configs: [{source: a}]",
            "services:\n  a:\n    command: torchrun t.py\n    configs: [{source: a}]\n    shm_size: 1gb",
        ),
    ),
    "LDC005": (
        (
            "services:\n  train:\n    image: x:1\n    volumes: [\"./datasets:/datasets\"]\n",
            "services:\n  train:\n    image: x:1\n    volumes: [\"./datasets:/datasets:ro\"]\n",
        ),
        (
            "services:\n  train:\n    volumes:\n      - ./datasets:/datasets:z # why\n",
            "services:\n  train:\n    volumes:\n      - ./datasets:/datasets:z,ro # why\n",
        ),
        (
            "services:\n  train:\n    volumes:\n      - type: bind\n        source: ./d\n"
            "        target: /dataset\n",
            "services:\n  train:\n    volumes:\n      - read_only: true\n        type: bind\n"
            "        source: ./d\n        target: /dataset\n",
        ),
    ),
    "LDC008": (
        (
            "services:\n  a:\n    image: redis:7\n    ports:\n      - 6379:6379 # why\n",
            "services:\n  a:\n    image: redis:7\n    ports:\n      - 127.0.0.1:6379:6379 # why\n",
        ),
        (
            "services:\n  a:\n    image: redis:7\n    ports: ['0.0.0.0:80:6379']\n",
            "services:\n  a:\n    image: redis:7\n    ports: ['127.0.0.1:80:6379']\n",
        ),
    ),
    "LDC012": (
        (
            "services:\n  a:\n    image: a:1\n    stop_grace_period: \"20s\"\n"
            "    command: gunicorn --graceful-timeout 60 a:b\n",
            "services:\n  a:\n    image: a:1\n    stop_grace_period: \"65s\"\n"
            "    command: gunicorn --graceful-timeout 60 a:b\n",
        ),
    ),
    "LDC013": (
        (
            "services:\n  a:\n    cpus: 2.5\n    environment:\n      - OMP_NUM_THREADS=16\n      - A=b\n",
            "services:\n  a:\n    cpus: 2.5\n    environment:\n      - OMP_NUM_THREADS=2\n      - A=b\n",
        ),
    ),
    "LDC014": (
        (
            "services:\n  a:\n    command: python train.py\n    restart: always\n",
            "services:\n  a:\n    command: python train.py\n    restart: \"on-failure:3\"\n",
        ),
    ),
    "LDC015": (
        (
            DB + "    depends_on:\n      - db\n      - c\n",
            DB + "    depends_on:\n      db:\n        condition: service_healthy\n"
            "      c:\n        condition: service_started\n",
        ),
        (
            DB + "    depends_on:\n    - db\n    restart: always\n",
            DB + "    depends_on:\n      db:\n        condition: service_healthy\n    restart: always\n",
        ),
        (DB + "    depends_on: [db]\n", DB + "    depends_on: {db: {condition: service_healthy}}\n"),
    ),
}  # fmt: skip
PAIRS = [(rule, before, after) for rule, pairs in WRITTEN_OUT.items() for before, after in pairs]


def name(rule: str) -> str:
    return "compose.yaml" if rule.startswith("LDC") else "Dockerfile"


@pytest.mark.parametrize(("rule", "before", "after"), PAIRS)
def test_a_mend_writes_what_its_page_says(rule: str, before: str, after: str) -> None:
    findings = [finding for finding in lint_text(name(rule), before, {}) if finding.rule == rule]
    assert mended(before, findings) == after
    assert rule not in {finding.rule for finding in lint_text(name(rule), after, {})}
    if name(rule) == "Dockerfile":
        read_dockerfile(after)
    else:
        yaml.safe_load(after)


ANCHOR = "    image: x:1\n    command: torchrun t.py\n"


@pytest.mark.parametrize(
    "text",
    [
        "services:\n  a: &a\n" + ANCHOR + "  b:\n    <<: *a\n    shm_size: 8g\n",
        "x-a: &a\n  command: torchrun t.py\nservices:\n  a: *a\n  b: *a\n",
        "services: {a: {image: x:1, command: torchrun t.py}}\n",
    ],
)
def test_a_mend_leaves_alone_what_other_services_share(text: str) -> None:
    findings = lint_text("compose.yaml", text, {})
    assert "LDC004" in {finding.rule for finding in findings}
    assert mended(text, findings) == text
