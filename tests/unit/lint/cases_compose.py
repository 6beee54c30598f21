"""More cases for the rules of compose files: texts a rule must catch, and texts it must leave alone."""

from __future__ import annotations

TORCH = "    image: pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime\n"
GPUS = "    gpus: all\n"
RESERVED = (
    "    deploy:\n      resources:\n        reservations:\n          devices:\n"
    "            - {driver: nvidia, count: 1, capabilities: [gpu]}\n"
)
TRAIN = "    command: python train.py\n"
DB = "    image: postgres:16\n    healthcheck: {test: [CMD, pg_isready]}\n"


def one(lines: str, name: str = "a") -> str:
    return f"services:\n  {name}:\n{lines}"


def two(first: str, second: str) -> str:
    return f"services:\n  a:\n{first}  b:\n{second}"


def rank(number: str, size: str = "2", more: str = ", MASTER_ADDR: a, MASTER_PORT: '29500'") -> str:
    return f"    image: x:1\n    environment: {{RANK: '{number}', WORLD_SIZE: '{size}'{more}}}\n"


def tf(kind: str, index: int, hosts: str = '"a:1", "b:1"') -> str:
    config = f'{{"cluster": {{"worker": [{hosts}]}}, "task": {{"type": "{kind}", "index": {index}}}}}'
    return f"    image: x:1\n    environment:\n      TF_CONFIG: '{config}'\n"


def train(lines: str) -> str:
    return one(TORCH + GPUS + "    shm_size: 8g\n" + TRAIN + lines)


Cases = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
COMPOSE: Cases = {
    "LDC003": (
        (
            one("    image: vllm/vllm-openai:v0.6.6\n"),
            one(TORCH + "    command: python a.py\n"),
            one("    image: acme/a:1\n    command: python a.py --device cuda\n"),
            one("    image: docker.io/tensorflow/serving:2.18.0-gpu\n"),
        ),
        (
            one(TORCH + GPUS),
            one(TORCH + RESERVED),
            one("    image: pytorch/torchserve:0.12.0-cpu\n"),
            one(TORCH + "    environment: [NVIDIA_VISIBLE_DEVICES=all]\n"),
            one(TORCH + "    command: python a.py --device cpu\n"),
            one("    image: vllm/vllm-openai:v0.6.6\n    runtime: nvidia\n"),
            one(
                "    image: acme/a:1\n    extends: {service: b, file: c.yml}\n"
                "    command: python a.py --device cuda\n"
            ),
        ),
    ),
    "LDC004": (
        (
            one(TORCH + GPUS + TRAIN),
            one("    image: acme/lm:1\n    command: [torchrun, --nproc_per_node=4, train.py]\n"),
            one(TORCH + RESERVED, "trainer"),
        ),
        (
            one(TORCH + GPUS + "    shm_size: 1gb\n" + TRAIN),
            one(TORCH + GPUS + "    ipc: host\n" + TRAIN),
            one(TORCH + GPUS + "    command: python infer.py\n"),
            one("    image: acme/sklearn:1\n" + TRAIN),
            one(TORCH + GPUS + "    tmpfs: ['/dev/shm:size=8g']\n" + TRAIN),
        ),
    ),
    "LDC005": (
        (
            train("    volumes: ['./datasets:/datasets']\n"),
            train("    volumes:\n      - /mnt/imagenet:/imagenet\n"),
            train("    volumes:\n      - type: bind\n        source: ./data\n        target: /data\n"),
        ),
        (
            train("    volumes: ['./datasets:/datasets:ro']\n"),
            one("    image: minio/minio:1\n    volumes: ['./data:/data']\n"),
            train("    volumes: ['./runs:/runs']\n"),
            one(
                TORCH + GPUS + "    shm_size: 8g\n    command: python train.py --output /data/out\n"
                "    volumes: ['./data:/data']\n"
            ),
            one("    image: a:1\n    volumes: ['./datasets:/datasets']\n"),
            train("    volumes:\n      - {type: bind, source: ./data, target: /data, read_only: true}\n"),
        ),
    ),
    "LDC008": (
        (
            one("    image: quay.io/jupyter/scipy-notebook:2024-12-09\n    ports: ['8888:8888']\n"),
            one("    image: a:1\n    command: mlflow server --host 0.0.0.0\n    ports:\n      - 8080:5000\n"),
            one("    image: postgres:16\n    ports:\n      - target: 5432\n        published: 5432\n"),
            one("    image: a:1\n    command: tensorboard --logdir /r\n    ports: ['0.0.0.0:6006:6006']\n"),
        ),
        (
            one("    image: postgres:16\n    ports: ['127.0.0.1:5432:5432']\n"),
            one("    image: postgres:16\n    expose: [5432]\n"),
            one("    image: acme/api:1\n    ports: ['8000:8000']\n"),
            one("    image: redis:7\n    ports: ['${PORT}:6379']\n"),
            one(
                "    image: prom/prometheus:v3\n    ports:\n"
                "      - {target: 9090, published: 9090, host_ip: 127.0.0.1}\n"
            ),
        ),
    ),
    "LDC009": (
        (
            two(
                TORCH + GPUS + "    shm_size: 8g\n" + TRAIN + "    volumes: ['ckpt:/checkpoints']\n",
                TORCH + GPUS + "    shm_size: 8g\n" + TRAIN + "    volumes: ['ckpt:/checkpoints']\n",
            ),
            two(
                "    image: a:1\n" + TRAIN + "    volumes: ['./runs:/r']\n",
                "    image: b:1\n" + TRAIN + "    volumes: ['./runs:/out']\n",
            ),
            two(
                "    image: a:1\n"
                + TRAIN
                + "    volumes:\n      - {type: volume, source: w, target: /outputs}\n",
                "    image: b:1\n" + TRAIN + "    volumes: ['w:/x/outputs']\n",
            ),
        ),
        (
            two(
                "    image: a:1\n" + TRAIN + "    volumes: ['c:/checkpoints']\n",
                "    image: b:1\n" + TRAIN + "    volumes: ['d:/checkpoints']\n",
            ),
            two(
                "    image: a:1\n" + TRAIN + "    volumes: ['c:/checkpoints']\n",
                "    image: b:1\n    command: python serve.py\n    volumes: ['c:/checkpoints']\n",
            ),
            two(
                "    image: a:1\n" + TRAIN + "    volumes: ['c:/checkpoints']\n",
                "    image: b:1\n" + TRAIN + "    volumes: ['c:/checkpoints:ro']\n",
            ),
            two(
                rank("0") + TRAIN + "    volumes: ['c:/checkpoints']\n",
                rank("1") + TRAIN + "    volumes: ['c:/checkpoints']\n",
            ),
        ),
    ),
    "LDC010": (
        (
            two(rank("0"), rank("0")),
            one(rank("2")),
            two(rank("0", more=""), rank("1", more="")),
            two("    image: x:1\n    ports: ['80:1']\n", "    image: x:1\n    ports: ['80:2']\n"),
            two(tf("worker", 0), "    image: x:1\n"),
            one(tf("worker", 2)),
        ),
        (
            two(rank("0"), rank("1")),
            two("    image: x:1\n    ports: ['80:1']\n", "    image: x:1\n    ports: ['80:1/udp']\n"),
            two(
                "    image: x:1\n    ports: ['127.0.0.1:80:1']\n",
                "    image: x:1\n    ports: ['127.0.0.2:80:1']\n",
            ),
            two(
                "    image: x:1\n    profiles: [p]\n    ports: ['80:1']\n",
                "    image: x:1\n    profiles: [q]\n    ports: ['80:1']\n",
            ),
            two(tf("worker", 0), tf("worker", 1)),
            "services:\n  app-cpu: {image: x:1, ports: ['80:1']}\n  app-gpu: {image: x:2, ports: ['80:1']}\n",
            "services:\n  web: {image: x:1, ports: ['80:1']}\n  web-watch: {image: x:2, ports: ['80:1']}\n",
            one("    image: x:1\n    environment: [RANK=0, 'WORLD_SIZE=$N']\n"),
            one(rank("0", "1", "")),
        ),
    ),
    "LDC011": (
        (
            one("    image: ollama/ollama:0.5.4\n    healthcheck: {test: curl -f http://localhost:11434}\n"),
            one(
                "    image: python:3.12-slim\n    healthcheck:\n      test: [CMD, wget, -q, 'http://localhost']\n"
            ),
            one(
                "    image: docker.io/library/debian:12\n"
                "    healthcheck: {test: [CMD-SHELL, 'curl -f localhost || exit 1']}\n"
            ),
        ),
        (
            one(
                "    image: vllm/vllm-openai:v0.6.6\n    gpus: all\n    healthcheck: {test: curl -f http://localhost}\n"
            ),
            one("    image: python:3.12\n    healthcheck: {test: curl -f http://localhost}\n"),
            one("    image: ollama/ollama:0.5.4\n    healthcheck: {test: ollama list}\n"),
            one("    build: .\n    healthcheck: {test: curl -f http://localhost}\n"),
            one("    image: acme/a:1\n    healthcheck: {test: [NONE]}\n"),
        ),
    ),
    "LDC012": (
        (
            one("    image: a:1\n    command: gunicorn --graceful-timeout 60 a:b\n"),
            one(
                "    image: a:1\n    stop_grace_period: 30s\n"
                "    command: [uvicorn, 'a:b', --timeout-graceful-shutdown=30]\n"
            ),
            one(
                "    image: a:1\n    gpus: all\n"
                "    command: tritonserver --exit-timeout-secs=45 --model-repository=/m\n"
            ),
        ),
        (
            one(
                "    image: a:1\n    stop_grace_period: 1m5s\n"
                "    command: gunicorn --graceful-timeout 60 a:b\n"
            ),
            one("    image: a:1\n    command: gunicorn a:b\n"),
            one(
                "    image: a:1\n    stop_grace_period: ${GRACE}\n"
                "    command: gunicorn --graceful-timeout 60 a:b\n"
            ),
            one("    image: a:1\n    command: gunicorn --graceful-timeout 5 a:b\n"),
        ),
    ),
    "LDC013": (
        (
            one("    image: a:1\n    cpus: 4\n    environment: {OMP_NUM_THREADS: '16'}\n"),
            one("    image: a:1\n    cpus: '1.5'\n    environment:\n      - MKL_NUM_THREADS=8\n"),
            one(
                "    image: a:1\n    environment:\n      OMP_NUM_THREADS: 8\n"
                "    deploy: {resources: {limits: {cpus: '2'}}}\n"
            ),
        ),
        (
            one("    image: a:1\n    cpus: 4\n    environment: {OMP_NUM_THREADS: '4'}\n"),
            one("    image: a:1\n    environment: {OMP_NUM_THREADS: '16'}\n"),
            one("    image: a:1\n    cpus: ${CPUS}\n    environment: {OMP_NUM_THREADS: '16'}\n"),
            one("    image: a:1\n    cpus: 1.5\n    environment: {OMP_NUM_THREADS: '2'}\n"),
        ),
    ),
    "LDC014": (
        (
            one("    image: a:1\n    restart: always\n" + TRAIN),
            one("    image: a:1\n    restart: 'unless-stopped'\n" + TRAIN),
            one("    image: vllm/vllm-openai:v0.6.6\n    gpus: all\n    ports: ['8000:8000']\n"),
            one("    image: a:1\n    command: gunicorn a:b\n    ports: ['80:80']\n"),
        ),
        (
            one("    image: a:1\n    restart: on-failure\n" + TRAIN),
            one("    image: a:1\n    restart: always\n    command: celery -A jobs worker\n", "train-worker"),
            one("    image: a:1\n    command: gunicorn a:b\n    restart: always\n    ports: ['80:80']\n"),
            one("    image: a:1\n    command: uvicorn a:b --reload\n    ports: ['80:80']\n"),
            one(
                "    image: a:1\n    command: gunicorn a:b\n    ports: ['80:80']\n"
                "    deploy: {restart_policy: {condition: any}}\n"
            ),
            one("    image: a:1\n" + TRAIN),
        ),
    ),
    "LDC015": (
        (
            two(DB, "    image: x:1\n    depends_on: [a]\n"),
            two(DB, "    image: x:1\n    depends_on:\n      - a\n"),
            two(DB, "    image: x:1\n    depends_on:\n    - a\n"),
            two(DB, "    image: x:1\n    depends_on: {a: {condition: service_started}}\n"),
        ),
        (
            two(DB, "    image: x:1\n    depends_on: {a: {condition: service_healthy}}\n"),
            two("    image: postgres:16\n", "    image: x:1\n    depends_on: [a]\n"),
            two("    image: y:1\n    healthcheck: {test: x}\n", "    image: x:1\n    depends_on: [a]\n"),
            two(DB, "    image: x:1\n"),
        ),
    ),
    "LDC016": (
        (
            one(
                "    image: a:1\n    command: mlflow server --backend-store-uri sqlite:///m.db\n"
                "    scale: 2\n"
            ),
            one("    image: minio/minio:1\n    volumes: ['./minio:/data']\n"),
            one("    image: ghcr.io/mlflow/mlflow:v2\n    volumes:\n      - ../state:/mlflow\n"),
        ),
        (
            one("    image: a:1\n    command: mlflow server --backend-store-uri sqlite:///m.db\n"),
            one("    image: minio/minio:1\n    volumes: ['minio:/data']\n"),
            one("    image: minio/minio:1\n    labels: {backup: nightly}\n    volumes: ['./minio:/data']\n"),
            one("    image: minio/minio:1\n    volumes: ['./certs:/root/.minio/certs']\n"),
        ),
    ),
}
