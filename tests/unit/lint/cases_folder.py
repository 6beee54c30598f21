"""Cases for the rules that look beside the file: whole folders, by path. A number is the size of an empty
file.

The first file of a folder is the one that is linted.
"""

from __future__ import annotations

Folder = dict[str, str | int]
SLIM = "FROM python:3.12-slim\n"
ALL = SLIM + "COPY . .\n"
PIN = SLIM + "COPY requirements.txt .\nRUN pip install -r requirements.txt\n"
UVICORN = 'CMD ["uvicorn", "app:app", "--port", "8000", "--limit-concurrency", "9"]\n'
GCC = (
    SLIM
    + "RUN apt-get install -y gcc\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\n"
    + UVICORN
)
CURL = "services:\n  a:\n    build: .\n    healthcheck: {test: [CMD, curl, -f, 'http://localhost']}\n"
LARGE = 200_000_000
KEY = "-----BEGIN " + "PRIVATE KEY-----\n" + "ab12CD34" * 8 + "\n"

FOLDERS: dict[str, tuple[tuple[Folder, ...], tuple[Folder, ...]]] = {
    "LDD011": (
        (
            {"Dockerfile": PIN, "requirements.txt": "torch>=2.2\n"},
            {"Dockerfile": ALL + "RUN pip install -r "
                "requirements.txt\n", "requirements.txt": "a==1\nb # why\n"},
            {"docker/Dockerfile": PIN, "requirements.txt": "numpy~=1.26\n", ".git/HEAD": "x"},
            {"Dockerfile": PIN, "requirements.txt": "a==1.*\n"},
        ),
        (
            {"Dockerfile": PIN, "requirements.txt": "a==1 \\\n  --hash=sha256:0\n"
                "b===2; python_version>'3'\n"},
            {"Dockerfile": PIN},
            {"Dockerfile": PIN, "requirements.txt": "-c constraints.txt\na\n"},
            {"Dockerfile": PIN, "requirements.txt": "a @ https://w.example/a.whl\n-r other.txt\n"},
            {"Dockerfile": SLIM + "RUN pip install -r requirements.txt\n", "requirements.txt": "a\n"},
        ),
    ),
    "LDD012": (
        (
            {"Dockerfile": SLIM + "COPY data/ /data/\n", "data/a.parquet": LARGE},
            {"Dockerfile": ALL, "set/train/x.tfrecord": LARGE, "app.py": ""},
            {"Dockerfile": SLIM + "COPY a.csv b.csv /d/\n", "a.csv": LARGE // 3, "b.csv": LARGE // 3},
        ),
        (
            {"Dockerfile": SLIM + "COPY data/ /data/\n", "data/a.parquet": 1000},
            {"Dockerfile": ALL, "data/a.parquet": LARGE, ".dockerignore": "data\n"},
            {"Dockerfile": SLIM + "COPY app.py /\n", "app.py": "", "data/a.parquet": LARGE},
            {"Dockerfile": ALL, "model/a.onnx": LARGE},
        ),
    ),
    "LDD013": (
        (
            {"Dockerfile": ALL, "m/best.safetensors": LARGE},
            {"Dockerfile": ALL, "a.onnx": LARGE, ".dockerignore": "*.py\n"},
            {"Dockerfile": SLIM + "ADD ./ /app/\n", "w.pt": LARGE},
        ),
        (
            {"Dockerfile": ALL, "m/best.safetensors": 1000},
            {"Dockerfile": ALL, "m/best.safetensors": LARGE, ".dockerignore": "**/*.safetensors\n"},
            {"Dockerfile": SLIM + "COPY m /m\n", "m/best.safetensors": LARGE},
        ),
    ),
    "LDD017": (
        (
            {"Dockerfile": ALL, "kaggle.json": "{}"},
            {"Dockerfile": ALL, ".env": "HF_TOKEN=x\n", ".dockerignore": "*.md"},
            {"Dockerfile": SLIM + "WORKDIR /app\nCOPY ./ ./\n", "keys/id_rsa": "x", "certs/a.pem": KEY},
            {"Dockerfile": ALL, "home/.aws/credentials": "x", "Dockerfile.dockerignore": "docs\n"},
        ),
        (
            {"Dockerfile": ALL, "kaggle.json": "{}", ".dockerignore": "kaggle.json\n"},
            {"Dockerfile": ALL, ".env": "# nothing\n", ".env.example": "HF_TOKEN=\n"},
            {"Dockerfile": SLIM + "COPY src /src\n", "src/a.py": "", "kaggle.json": "{}"},
            {"Dockerfile": "FROM python:3.12 AS a\nCOPY . .\n" + SLIM + "COPY --from=a /w "
                "/w\n", ".netrc": "x"},
        ),
    ),
    "LDD018": (
        (
            {"Dockerfile": ALL, ".git/HEAD": "x"},
            {"Dockerfile": ALL, ".venv/pyvenv.cfg": "x", ".dockerignore": ".git"},
            {"Dockerfile": ALL, "mlruns/0/meta.yaml": "x", "wandb/a": "x"},
            {"docker/Dockerfile": SLIM + "COPY app.py .\nCOPY . .\n", "app.py": "", ".git/HEAD": "x"},
        ),
        (
            {"Dockerfile": ALL, ".git/HEAD": "x", ".dockerignore": ".git\n"},
            {"Dockerfile": ALL, "app.py": ""},
            {"Dockerfile": SLIM + "COPY app.py .\n", "app.py": "", ".git/HEAD": "x"},
            {"Dockerfile": ALL + "RUN git rev-parse HEAD > v\n", ".git/HEAD": "x"},
            {"Dockerfile": ALL, ".git/HEAD": "x", "pyproject.toml": "requires = ['setuptools_scm']\n"},
            {"Dockerfile": ALL + "COPY mlruns/1 /m\n", "mlruns/1/a": "x"},
            {"Dockerfile": ALL, ".git/HEAD": "x", ".dockerignore": "*\n!src\n"},
        ),
    ),
    "LDD025": (
        (
            {"Dockerfile": GCC, "requirements.txt": "lightgbm==4.5.0\nuvicorn==0.34\n"},
            {"Dockerfile": GCC, "requirements.txt": "xgboost==2.1 --hash=sha256:0\n# torch\n"},
            {"Dockerfile": GCC.replace("gcc", "cmake"), "requirements.txt": "fastapi\n"},
        ),
        (
            {"Dockerfile": GCC, "requirements.txt": "torch==2.6.0\n"},
            {"Dockerfile": GCC, "requirements.txt": "-r base.txt\n"},
            {"Dockerfile": GCC},
        ),
    ),
    "LDC011": (
        (
            {"compose.yaml": CURL, "Dockerfile": SLIM},
            {"compose.yaml": CURL.replace("build: .", "build: {context: "
                "./api}"), "api/Dockerfile": "FROM debian:12\n"},
            {"compose.yaml": CURL.replace("build: .", "build: {context: ., dockerfile: d/D}"),
             "d/D": "FROM ubuntu:24.04 AS a\nFROM a\n"},
        ),
        (
            {"compose.yaml": CURL, "Dockerfile": SLIM + "RUN apt-get install -y curl\n"},
            {"compose.yaml": CURL, "Dockerfile": "FROM nvidia/cuda:12.4.1-runtime-ubuntu22.04\n"},
            {"compose.yaml": CURL, "Dockerfile": SLIM + "RUN ./setup.sh\n"},
            {"compose.yaml": CURL.replace("build: .", "build: {context: ., target: "
                "dev}"), "Dockerfile": SLIM},
        ),
    ),
}  # fmt: skip
