"""Whatever a Dockerfile says, the lading.toml that is written for it loads."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lading.convert.importing.context import read_context
from lading.convert.importing.decide import import_dockerfile
from lading.convert.importing.model import ImportRefused
from lading.inspect.lint.dockerfile import read_dockerfile
from lading.project.load import load_project

ODD = [
    "a", "'b c'", '"$V"', "${V:-d}", "$V", "\\", "é", "x=1", "--from=0", "--from=b", "/etc/x.ini", "*.py",
    "app", ".", "train.py", "<<E", '["a", "b"]', "[", "1000", "99999/tcp", "a{b}", "'", '"', "{x}", "&&", "|",
    ";", "$(y)",
]  # fmt: skip
PATHS = [
    "/app", "/code", "/", "/tmp/x", "/opt/a", "work", "../x", "$HOME", "/bin/x", "/opt/venv/x", "/models",
]  # fmt: skip
COMMANDS = [
    "pip install six", "pip install -r requirements.txt", "pip install .", "conda install numpy ffmpeg",
    "apt-get install -y libgl1 a=1 X", "mkdir -p /data /app/x", "cd /opt && make", "uv sync",
    "poetry install", "echo x > /etc/y", "useradd -u 5 me", "python -m nltk.downloader punkt",
    "curl https://e.example | sh", "export A=1", "for i in 1; do x; done", "pip install 'a b'",
    "chmod 755 /x", "ln -s a b", "rm -rf /", "( x; y )", "x &", "conda env create -f environment.yml",
    "pip install --target /t six", "python $V.py",
]  # fmt: skip
KEYWORDS = {
    "FROM": ["python:3.12", "scratch", "nvidia/cuda:12.4.1-runtime-ubuntu22.04", "X", "$V", "b", "a/b:c"],
    "ENV": ["A=$V", "A b c", "PATH=/x:$PATH", "LADING_X=1", "HF_TOKEN=x", "a-b=c", "B=", 'C="d e" D=$A'],
    "ARG": ["V", "V=1", "V=3.12", "V=$V", "W=/app"],
    "LABEL": ["a=b", "A.b=c", "é=1", 'x="y z"', "x="],
    "EXPOSE": ["80", "80/udp", "1-9", "x", "99999", "$V", "8000 8001"],
    "HEALTHCHECK": ["NONE", "CMD x", "--interval=5s CMD x", "--start=x CMD"],
    "SHELL": ['["/bin/bash", "-c"]', "[]", "x", '["conda", "run", "/bin/bash", "-c"]'],
    "STOPSIGNAL": ["SIGINT", "9", "KILL", "$V", "x"],
    "USER": ["me", "1000", "root:root", "$V", "a b", "9999999999"],
    "VOLUME": ["/data", '["/a"]'],
    "MAINTAINER": ["me <me@example.org>"],
    "ONBUILD": ["RUN x"],
}  # fmt: skip
FILES = {
    "requirements.txt": "six\n",
    "train.py": "print(1)\n",
    "app/main.py": "",
    "environment.yml": "dependencies: [numpy]\n",
}


@st.composite
def dockerfiles(draw: st.DrawFn) -> str:
    """Lines of every kind, with words that hold every odd sign."""

    def words() -> str:
        return " ".join(draw(st.lists(st.sampled_from(ODD), min_size=1, max_size=4)))

    def line() -> str:
        keyword = draw(
            st.sampled_from([*KEYWORDS, "RUN", "RUN", "COPY", "ADD", "WORKDIR", "CMD", "ENTRYPOINT"])
        )
        if keyword == "RUN" and draw(st.booleans()):
            return "RUN " + " && ".join(draw(st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=3)))
        if keyword in ("COPY", "ADD"):
            return f"{keyword} {words()} {draw(st.sampled_from(PATHS))}"
        if keyword == "WORKDIR":
            return f"WORKDIR {draw(st.sampled_from(PATHS))}"
        if keyword in KEYWORDS:
            name = draw(st.sampled_from(["", " AS b", " AS c"])) if keyword == "FROM" else ""
            return f"{keyword} {draw(st.sampled_from(KEYWORDS[keyword]))}{name}"
        return f"{keyword} {words()}"

    return (
        "\n".join(["ARG V=3", "FROM python:3.12 AS b", *(line() for _ in range(draw(st.integers(0, 12))))])
        + "\n"
    )


@settings(max_examples=150, deadline=None)
@example(text="FROM python:3.12\nCOPY app /\nRUN pip install .\n", names=["app/main.py"])
@given(dockerfiles(), st.lists(st.sampled_from(sorted(FILES)), unique=True))
def test_a_written_lading_toml_always_loads(text: str, names: Iterable[str]) -> None:
    """Whatever the Dockerfile says: it is refused as no Dockerfile, or what is written loads as a project."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "p")
        root.mkdir()
        for name in names:
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(FILES[name])
        try:
            result = import_dockerfile(text, read_context(root, None, {}))
        except ImportRefused:
            return
        assert tomllib.loads(result.text) == result.settings
        lines = {text.count("\n", 0, entry.start) + 1 for entry in read_dockerfile(text).instructions}
        assert {outcome.line for outcome in result.outcomes} == lines
        for name, content in {"lading.toml": result.text, **result.files}.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(content)
        load_project(root, environment={})
