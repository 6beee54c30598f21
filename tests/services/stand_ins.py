"""Stand-ins for public base images: one Debian root in the shapes that images in the field have.

No public registry is asked in tests. Each stand-in is named as one: `HOST/stand-in/NAME:TAG`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.machine import make_root_archive
from services.process import Tool

PACKAGES = ("python3", "python3-pip", "python3-venv", "ca-certificates")
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_PASSED = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX")
_ROOT = """\
FROM scratch
ADD root.tar /
COPY authorities.crt /etc/ssl/certs/ca-certificates.crt
ENV PIP_CERT={authorities} SSL_CERT_FILE={authorities} REQUESTS_CA_BUNDLE={authorities} {more}
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
"""
_WITH_PYTHON = """\
FROM {root}
RUN ln -s /usr/bin/python3 /usr/local/bin/python
"""
_TORCH = "/usr/local/lib/python3.11/dist-packages"
_METADATA = "Metadata-Version: 2.1\\nName: torch\\nVersion: 2.8.0\\n"

DOCKERFILES: Mapping[str, str] = {
    "python:3.11-slim": _WITH_PYTHON,
    "python:3.11-slim-bookworm": _WITH_PYTHON,
    "debian:bookworm-slim": "FROM {root}\n",
    "nvidia/cuda:12.4.1-cudnn-runtime-debian12": (
        "FROM {root}\nRUN mkdir /usr/local/cuda && echo 12.4.1 > /usr/local/cuda/version.txt\n"
    ),
    "pytorch/pytorch:2.8.0-cuda12.6-cudnn9-runtime": _WITH_PYTHON
    + f"RUN mkdir -p {_TORCH}/torch {_TORCH}/torch-2.8.0.dist-info \\\n"
    + f"  && echo '__version__ = \"2.8.0\"' > {_TORCH}/torch/__init__.py \\\n"
    + f"  && printf '{_METADATA}' > {_TORCH}/torch-2.8.0.dist-info/METADATA \\\n"
    + f"  && echo pip > {_TORCH}/torch-2.8.0.dist-info/INSTALLER\n",
    "jupyter/base-notebook:2025-09-30": _WITH_PYTHON
    + "RUN useradd --create-home --uid 1000 --gid 100 jovyan\n"
    + "ENV NB_USER=jovyan NB_UID=1000 NB_GID=100 PATH=/home/jovyan/.local/bin:$PATH\n"
    + "USER 1000\nWORKDIR /home/jovyan\n",
    "continuumio/miniconda3:24.7.1-0": _WITH_PYTHON
    + "COPY conda /opt/conda/bin/conda\nENV PATH=/opt/conda/bin:$PATH\n",
    "astral-sh/uv:0.9": "FROM scratch\nCOPY uv /uv\n",
}
"""Of each stand-in; `{root}` is the Debian root."""

STANDS_FOR: Mapping[str, str] = {
    "python:3.11-slim": "python:3.11-slim",
    "python:3.11-slim-bookworm": "python:3.11-slim-bookworm",
    "python:${PYTHON_VERSION}-slim": "python:${PYTHON_VERSION}-slim",
    "python:${BASE}-slim": "python:${BASE}-slim",
    "debian:bookworm-slim": "debian:bookworm-slim",
    # A stand-in is made of Debian, and its tag says so.
    "nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04": "nvidia/cuda:12.4.1-cudnn-runtime-debian12",
    "pytorch/pytorch:2.8.0-cuda12.6-cudnn9-runtime": "pytorch/pytorch:2.8.0-cuda12.6-cudnn9-runtime",
    "quay.io/jupyter/base-notebook:2025-09-30": "jupyter/base-notebook:2025-09-30",
    "continuumio/miniconda3:24.7.1-0": "continuumio/miniconda3:24.7.1-0",
    "ghcr.io/astral-sh/uv:0.9": "astral-sh/uv:0.9",
}
"""What a Dockerfile names → its stand-in."""

_CONDA = '''\
#!/usr/bin/python3
"""A stand-in for conda: environments of names that pip knows too, and `conda run`."""
import os
import re
import subprocess
import sys

ENVIRONMENTS = "/opt/conda/envs"


def create(path):
    conda, pip, name = [], [], "base"
    for line in open(path):
        if found := re.match(r"name: *(\\S+)", line):
            name = found[1]
        elif found := re.match(r"    +- *(\\S+)", line):
            pip.append(found[1])
        elif found := re.match(r"  - *(?!python=|pip$)([^=:\\s]+)(?:=([^=\\s]+))?$", line):
            conda.append(found[1] + (f"=={found[2]}" if found[2] else ""))
    conda = [one for one in conda if one not in ("conda-forge", "defaults")]
    subprocess.run(["python3", "-m", "venv", f"{ENVIRONMENTS}/{name}"], check=True)
    subprocess.run([f"{ENVIRONMENTS}/{name}/bin/pip", "install", *conda, *pip], check=True)


def run(words):
    while words[0].startswith("-"):
        option = words.pop(0)
        if option == "-n":
            os.environ["PATH"] = f"{ENVIRONMENTS}/{words.pop(0)}/bin:{os.environ['PATH']}"
    os.execvp(words[0], words)


words = sys.argv[1:]
if words[:2] == ["env", "create"]:
    create(words[words.index("-f") + 1])
elif words[0] == "run":
    run(words[1:])
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIns:
    registry: str

    def replaced(self, dockerfile: str) -> str:
        """The text with every base that stands for a public one replaced by its stand-in.

        `# syntax=` names an image, too: the engine's own frontend is used.
        """
        lines = []
        for line in dockerfile.splitlines(keepends=True):
            line = "#\n" if line.startswith("# syntax=") else line
            for name, stand_in in STANDS_FOR.items():
                place = f"{self.registry}/stand-in/{stand_in}"
                for before in ("FROM ", "--from="):
                    if f"{before}{name}" in line.replace("\n", " ") and f"{before}{name}-" not in line:
                        line = line.replace(f"{before}{name}", f"{before}{place}")
            lines.append(line)
        return "".join(lines)


def make_stand_ins(docker: Tool, registry: str, folder: Path) -> StandIns:
    """Built by Docker, in the engine and in the registry."""
    make_root_archive(folder / "root.tar", "bookworm", PACKAGES)
    shutil.copy(_AUTHORITIES, folder / "authorities.crt")
    (folder / "conda").write_text(_CONDA)
    (folder / "conda").chmod(0o755)
    from uv import find_uv_bin

    shutil.copy(find_uv_bin(), folder / "uv")
    more = " ".join(f"{name}={os.environ[name]}" for name in _PASSED if os.environ.get(name))
    root = f"{registry}/stand-in/root:1"
    _build(docker, folder, root, _ROOT.format(authorities=_AUTHORITIES, more=more))
    for name, text in DOCKERFILES.items():
        _build(docker, folder, f"{registry}/stand-in/{name}", text.replace("{root}", root))
        docker("push", "--quiet", f"{registry}/stand-in/{name}")
    (folder / "root.tar").unlink()
    return StandIns(registry=registry)


def _build(docker: Tool, folder: Path, name: str, text: str) -> None:
    (folder / "Dockerfile").write_text(text)
    docker("build", "--network", "host", "--tag", name, folder)
