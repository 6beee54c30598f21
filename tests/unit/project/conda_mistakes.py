"""Mistakes in `environment.yml` and `[image.conda]`: rows of test_mistakes.py."""

from __future__ import annotations

from .mistake_rows import Mistake

FILE = "environment.yml"


def environment(name: str, text: str | bytes, line: int, key: str, *says: str) -> Mistake:
    return Mistake(name, {FILE: text}, f"{FILE}:{line}", key, says)


def dependency(name: str, text: str, *says: str) -> Mistake:
    return environment(name, f"dependencies:\n- six\n- {text}\n", 3, "dependencies", *says)


CONDA = [
    environment("conda-yaml", "dependencies:\n- [six\n", 3, FILE, "is not YAML"),
    environment("conda-utf8", b"name: a\n# \xff\n", 2, FILE, "UTF-8", "iconv"),
    environment("conda-list", "- numpy\n", 1, FILE, "must be a table, not a list"),
    environment("conda-key", "dependncies: []\n", 1, "dependncies", "did you mean 'dependencies'?"),
    environment("conda-twice", "dependencies: []\ndependencies: []\n", 2, "dependencies", "twice"),
    environment("conda-word", "dependencies: numpy\n", 1, "dependencies", "must be a list"),
    environment(
        "conda-number", "dependencies:\n- 3.11\n", 2, "dependencies[0]", "not a number", "python=3.11"
    ),
    environment("conda-empty", "dependencies:\n-\n", 2, "dependencies[0]", "must be a name, not empty"),
    environment("conda-colon", "dependencies:\n- numpy: 1.26\n", 2, "dependencies[0].numpy", "numpy=1.26"),
    environment(
        "conda-tag",
        "dependencies:\n- !!python/object/apply:os.system ['true']\n",
        2,
        "dependencies[0]",
        "must be a name, not a list",
    ),
    environment("conda-pip-word", "dependencies:\n- pip: six\n", 2, "dependencies[0].pip", "write - six"),
    environment(
        "conda-pip-twice",
        "dependencies:\n- pip: [six]\n- pip: [rich]\n",
        3,
        "dependencies[1].pip",
        "join the two lists",
    ),
    environment(
        "conda-pip-line", "dependencies:\n- pip:\n  - six\n  - numpy=1\n", 4, "requirements", "numpy==1"
    ),
    environment("conda-pip-file", "dependencies:\n- pip:\n  - -r gone.txt\n", 3, "requirements", "gone.txt"),
    environment("conda-variable", "variables:\n  A: x\n", 2, "variables.A", 'env = { A = "x" }'),
    environment("conda-python", "dependencies:\n- python=2.7\n", 2, "requires-python", "excludes every"),
    environment("conda-python-twice", "dependencies:\n- python=3.11\n- python<4\n", 3, "python", "second"),
    dependency("conda-choice", "numpy=1.8|=1.9", "no choice between versions", ">=1.26,<3"),
    dependency("conda-extra", "ray[default]", "write it under `pip:`"),
    dependency("conda-package-file", "https://example.org/a-1-0.conda", "a package file of conda"),
    dependency("conda-program", "ffmpeg=6", "ffmpeg is a program", '[image] apt = ["ffmpeg"]', "= false"),
    dependency("conda-several", "cupy", "cupy-cuda12x"),
    dependency("conda-r", "r-ggplot2", "R is not read"),
    Mistake(
        "conda-two-cuda",
        {FILE: "dependencies:\n- cudatoolkit=11.8\n- pytorch-cuda=12.1\n"},
        f"{FILE}:3",
        "dependencies",
        ("asks for cu121", "cudatoolkit=11.8 in environment.yml:2 for cu118"),
    ),
    Mistake(
        "conda-python-excluded",
        {FILE: "dependencies:\n- python=3.11\n", "lading.toml": '[image]\npython = "3.12"\n'},
        "lading.toml:2",
        "image.python",
        ("excluded by python=3.11 in environment.yml",),
    ),
    Mistake(
        "conda-name-typo",
        {FILE: "dependencies:\n- ffmpeg\n", "lading.toml": "[image.conda]\nfmpeg = false\n"},
        "lading.toml:1",
        "image.conda.fmpeg",
        ("did you mean 'ffmpeg'?",),
    ),
    Mistake(
        "conda-name-value",
        {FILE: "dependencies:\n- a\n", "lading.toml": "[image.conda]\na = true\n"},
        "lading.toml:2",
        "image.conda.a",
        ("or false",),
    ),
    Mistake(
        "conda-names-without-file",
        {"requirements.txt": "six\n", "lading.toml": "[image.conda]\na = false\n"},
        "lading.toml:1",
        "image.conda.a",
        ("no environment.yml is used: requirements.txt",),
    ),
]
