"""What users get wrong in configuration and requirements: each row says which file, and what must be said.

A row: files → place, key, and fragments that the message and suggestion together hold.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.errors import ConfigError

from .added_mistakes import ADDED
from .conda_mistakes import CONDA
from .folders import load_folder
from .mistake_rows import PYPROJECT, TRAIN, Mistake, config, lines, project

SYNTAX = [
    config("broken-table", "[image\npython = 1\n", "lading.toml:1", "lading.toml", "not TOML", "column"),
    config("broken-at-end", '[image]\npython = "3.1', "lading.toml:2", "lading.toml", "at its end"),
    config("duplicate-key", "[image]\napt = []\napt = []\n", "lading.toml:3", "lading.toml", "overwrite"),
    Mistake(
        "not-utf8", {"lading.toml": b"a = 1\n# \xff\n"}, "lading.toml:2", "lading.toml", ("UTF-8", "iconv")
    ),
    project("broken-pyproject", "[project\n", "pyproject.toml:1", "pyproject.toml", "not TOML"),
]
STRUCTURE = [
    Mistake(
        "two-configurations",
        {**TRAIN, "lading.toml": "", "pyproject.toml": "\n[tool.lading]\n"},
        "pyproject.toml:2",
        "pyproject.toml",
        ("lading.toml and [tool.lading] in pyproject.toml are both there", "keep one"),
    ),
    Mistake(
        "typo-in-pyproject",
        {**TRAIN, "pyproject.toml": '[tool.lading.image]\npyton = "3.11"\n'},
        "pyproject.toml:2",
        "image.pyton",
        ("did you mean 'python'?",),
    ),
    config(
        "capital-in-table", '[Image]\npython = "3.11"\n', "lading.toml:1", "Image", "did you mean [image]?"
    ),
    config(
        "typo-in-task", "[trian]\nparams = { n = 3 }\n", "lading.toml:1", "trian", "did you mean [train]?"
    ),
    config(
        "typo-in-own-task",
        '[fit]\nrun = "python train.py"\n[fti]\ngate = "a > 1"\n',
        "lading.toml:3",
        "fti",
        "did you mean [fit]?",
    ),
    config("typo-in-table", '[imgae]\npython = "3.11"\n', "lading.toml:1", "imgae", "did you mean [image]?"),
    config(
        "typo-in-key", '[image]\npyhton = "3.11"\n', "lading.toml:2", "image.pyhton", "did you mean 'python'?"
    ),
    config("key-at-top", 'python = "3.11"\n', "lading.toml:1", "python", "write it in [image]"),
    config("image-no-table", 'image = "debian"\n', "lading.toml:1", "image", "must be a table", "[image]"),
    config(
        "no-run", "[evaluate]\nmemory = '1GB'\n", "lading.toml:1", "evaluate", "needs `run`", "evaluate.py"
    ),
    config("unknown-target", "[image.server]\n", "lading.toml:1", "image.server", "did you mean 'serve'?"),
    config(
        "shared-key-in-target",
        '[image.serve]\npython = "3.11"\n',
        "lading.toml:2",
        "image.serve.python",
        "[image]",
    ),
    config("task-name", '["a b"]\nrun = "x"\n', "lading.toml:1", "a b", "not a name of a task"),
    config("name", 'name = "my project"\n', "lading.toml:1", "name", "letters, digits"),
]
IMAGE = [
    config(
        "python-float",
        "[image]\npython = 3.10\n",
        "lading.toml:2",
        "image.python",
        "3.10 would read as 3.1",
        "quotes",
    ),
    config("python-patch", '[image]\npython = "3.11.4"\n', "lading.toml:2", "image.python", 'write "3.11"'),
    config(
        "python-old", '[image]\npython = "2.7"\n', "lading.toml:2", "image.python", "not supported", "3.13"
    ),
    config(
        "suite-typo",
        '[image]\nbase = "debian:trixi"\n',
        "lading.toml:2",
        "image.base",
        'did you mean "debian:trixie"?',
    ),
    config(
        "suite-python",
        '[image]\npython = "3.12"\ninterpreter = "debian"\n',
        "lading.toml:2",
        "image.interpreter",
        "has Python 3.13, not 3.12",
        "standalone",
    ),
    config(
        "base-untagged",
        '[image]\nbase = "docker.example/python"\n',
        "lading.toml:2",
        "image.base",
        "names neither tag nor digest",
        "debian:trixie",
    ),
    config(
        "base-no-name",
        '[image]\nbase = "docker.example/Team/python:3"\n',
        "lading.toml:2",
        "image.base",
        "is no repository name",
        "debian:trixie",
    ),
    config(
        "base-debian-interpreter",
        '[image]\nbase = "docker.example/python:3.12"\ninterpreter = "debian"\n',
        "lading.toml:1",
        "image.interpreter",
        "is no Debian suite",
        'interpreter = "base"',
    ),
    config(
        "interpreter-base",
        '[image]\ninterpreter = "base"\n',
        "lading.toml:1",
        "image.interpreter",
        "is no image of a registry",
        "auto",
    ),
    config("base-space", '[image]\nbase = "my image"\n', "lading.toml:2", "image.base", "not an image name"),
    config(
        "accelerator",
        '[image]\naccelerator = ["cpu", "cude"]\n',
        "lading.toml:2",
        "image.accelerator[1]",
        "'cuda'",
    ),
    config(
        "platform",
        '[image]\nplatform = "linux/amd65"\n',
        "lading.toml:2",
        "image.platform[0]",
        "'linux/amd64'",
    ),
    config("apt-string", '[image]\napt = "git"\n', "lading.toml:2", "image.apt", "must be a list", '["git"]'),
    config(
        "apt-version", '[image]\napt = [\n"git",\n"curl=8"]\n', "lading.toml:4", "image.apt[1]", "no version"
    ),
    config("apt-twice", '[image]\napt = ["git", "git"]\n', "lading.toml:2", "image.apt[1]", "twice"),
    config(
        "env-number",
        "[image]\nenv = { THREADS = 4 }\n",
        "lading.toml:2",
        "image.env.THREADS",
        'in quotes: "4"',
    ),
    config(
        "env-name", '[image.env]\n"A-B" = "1"\n', "lading.toml:2", "image.env.A-B", "environment variable"
    ),
    config(
        "env-reserved",
        '[image.env]\nLADING_X = "1"\n',
        "lading.toml:2",
        "image.env.LADING_X",
        "set by lading",
    ),
    config(
        "Z04-env-secret",
        f'[image.env]\nHF_TOKEN = "hf_{"aB3dE5gH7j" * 4}"\n',
        "lading.toml:2",
        "image.env.HF_TOKEN",
        "looks like a credential",
        "`secrets`",
    ),
    config(
        "group", '[image]\ngroups = ["serve"]\n', "lading.toml:2", "image.groups[0]", "no dependency group"
    ),
    Mistake(
        "group-typo",
        {
            "pyproject.toml": '[dependency-groups]\nserving = []\n[project]\nname = "p"\ndependencies = []\n',
            "lading.toml": '[image.serve]\ngroups = ["servng"]\n',
        },
        "lading.toml:2",
        "image.serve.groups[0]",
        ("did you mean 'serving'?",),
    ),
    config(
        "only-and-groups",
        '[image.serve]\nonly = ["a"]\ngroups = ["b"]\n',
        "lading.toml:2",
        "image.serve.only",
        "contradicts",
    ),
    config(
        "flavour",
        '[image]\nflavour = "minmal"\n',
        "lading.toml:2",
        "image.flavour",
        "did you mean 'minimal'?",
    ),
    config("bytecode", '[image]\nbytecode = "yes"\n', "lading.toml:2", "image.bytecode", "true or false"),
    config("user-name", '[image]\nuser = "root"\n', "lading.toml:2", "image.user", "UID"),
    config(
        "secret-no-reason",
        '[[image.allow_secret]]\npath = "a"\nexpires = 2027-01-01\n',
        "lading.toml:1",
        "image.allow_secret[0]",
        "needs `reason`",
    ),
    config(
        "secret-expired",
        '[[image.allow_secret]]\npath = "a"\nreason = "test key"\nexpires = 2026-01-01\n',
        "lading.toml:4",
        "image.allow_secret[0].expires",
        "expired on 2026-01-01",
    ),
    config(
        "secret-date",
        '[[image.allow_secret]]\npath = "a"\nreason = "r"\nexpires = "soon"\n',
        "lading.toml:4",
        "image.allow_secret[0].expires",
        "2027-01-31",
    ),
]
TASKS = [
    config(
        "memory-number", "[train]\nmemory = 16\n", "lading.toml:2", "train.memory", 'write a unit: "16GB"'
    ),
    config("memory-unit", '[train]\nmemory = "16g"\n', "lading.toml:2", "train.memory", "16GiB"),
    config(
        "timeout", '[train]\ntimeout = "6 hours"\n', "lading.toml:2", "train.timeout", "not a duration", "6h"
    ),
    config("timeout-number", "[train]\ntimeout = 90\n", "lading.toml:2", "train.timeout", '"90s"'),
    config("cpus", "[train]\ncpus = 0\n", "lading.toml:2", "train.cpus", "above 0"),
    config(
        "gpus-typo",
        "[train]\ngpus = { cuont = 1 }\n",
        "lading.toml:2",
        "train.gpus.cuont",
        "did you mean 'count'?",
    ),
    config(
        "gate-ends",
        "[train]\ngate = 'accuracy >'\n",
        "lading.toml:2",
        "train.gate",
        "column 11",
        "the gate ends",
    ),
    config("gate-chained", "[train]\ngate = '1 < a < 2'\n", "lading.toml:2", "train.gate", "do not chain"),
    config("gpus-text", '[train]\ngpus = "all"\n', "lading.toml:2", "train.gpus", "must be an integer"),
    config(
        "run-list",
        '[train]\nrun = ["python"]\n',
        "lading.toml:2",
        "train.run",
        "must be a string, not an array",
    ),
    config("run-empty", '[train]\nrun = " "\n', "lading.toml:2", "train.run", "is empty"),
    config(
        "placeholder",
        '[train]\nrun = "python t.py {epocs}"\nparams = { epochs = 1 }\n',
        "lading.toml:2",
        "train.run",
        "{epocs} names no parameter",
        "did you mean 'epochs'?",
    ),
    config(
        "params-list",
        "[train]\nparams = { layers = [1] }\n",
        "lading.toml:2",
        "train.params.layers",
        "not an array",
    ),
    config(
        "params-nan",
        "[train.params]\nlr = nan\n",
        "lading.toml:2",
        "train.params.lr",
        "JSON has no such number",
    ),
    config(
        "params-case",
        "[train.params]\nlr = 1\nLR = 2\n",
        "lading.toml:3",
        "train.params.LR",
        "one environment variable",
    ),
    config(
        "params-path",
        '[train.params]\npath = "x"\n',
        "lading.toml:2",
        "train.params.path",
        "overwrite",
        "PATH",
    ),
    config(
        "data-typo",
        '[data.digits]\nsource = "https://x.org/d"\n[train]\ninputs = { d = "data:digit" }\n',
        "lading.toml:4",
        "train.inputs.d",
        "no data named 'digit'",
        "did you mean 'digits'?",
    ),
    config(
        "input-task",
        '[train]\ninputs = { m = "task:fit" }\n',
        "lading.toml:2",
        "train.inputs.m",
        "no task named 'fit'",
    ),
    config(
        "input-itself",
        '[train]\ninputs = { m = "task:train" }\n',
        "lading.toml:2",
        "train.inputs",
        "waits for",
    ),
    config(
        "input-url", '[train]\ninputs = { d = "s3://b/k" }\n', "lading.toml:2", "train.inputs.d", "[data.d]"
    ),
    config(
        "outputs-outside",
        '[train]\noutputs = "../out"\n',
        "lading.toml:2",
        "train.outputs",
        "inside the project",
    ),
    config(
        "secret-value",
        '[train]\nsecrets = ["TOKEN=abc"]\n',
        "lading.toml:2",
        "train.secrets[0]",
        "never the value",
    ),
    config(
        "secret-in-env",
        '[train]\nsecrets = ["T"]\n[train.env]\nT = "1"\n',
        "lading.toml:4",
        "train.env.T",
        "secrets",
    ),
    config(
        "target-typo", '[train]\ntarget = "trian"\n', "lading.toml:2", "train.target", "did you mean 'train'?"
    ),
    config("network", "[train]\nnetwork = 1\n", "lading.toml:2", "train.network", "true or false"),
    Mistake(
        "several-scripts",
        {
            **TRAIN,
            "main.py": 'if __name__ == "__main__":\n    pass\n',
            "lading.toml": "[train]\ngate = 'a > 1'\n",
        },
        "lading.toml:1",
        "train",
        ("needs `run`",),
    ),
]
SERVE = [
    config(
        "Z04-data-password",
        '[data.d]\nsource = "https://me:pw@x.org/d"\n',
        "lading.toml:2",
        "data.d.source",
        "credentials",
    ),
    config(
        "Z04-label-secret",
        f'[image.labels]\nteam = "glpat-{"aB3dE5gH7j" * 2}"\n',
        "lading.toml:2",
        "image.labels.team",
        "looks like a credential",
    ),
    config(
        "Z04-run-secret",
        f'[train]\nrun = "KEY=ghp_{"aB3dE5gH7j" * 4} python t.py"\n',
        "lading.toml:2",
        "train.run",
        "looks like a credential",
    ),
    config("model", '[serve]\nmodel = "trian"\n', "lading.toml:2", "serve.model", "did you mean 'train'?"),
    config("sample", '[serve]\nsample = "no.json"\n', "lading.toml:2", "serve.sample", "is not there"),
    config("port", "[serve]\nport = 70000\n", "lading.toml:2", "serve.port", "65535"),
    config("serve-key", '[serve]\nrun = "x"\n', "lading.toml:2", "serve.run", "not a key"),
    config("data-string", '[data]\ndigits = "d.csv"\n', "lading.toml:2", "data.digits", 'source = "d.csv"'),
    config("data-source", '[data.digits]\nsha256 = "x"\n', "lading.toml:1", "data.digits", "needs `source`"),
    config(
        "data-sha",
        '[data.d]\nsource = "https://x.org/d"\nsha256 = "x"\n',
        "lading.toml:3",
        "data.d.sha256",
        "64",
    ),
    Mistake(
        "serve-no-model", {"lading.toml": "[serve]\nport = 1\n"}, "lading.toml:1", "serve", ("needs `model`",)
    ),
]
REQUIREMENTS = [
    lines("one-equals", "numpy\npandas=2.1\n", "requirements.txt:2", 'did you mean "pandas==2.1"?'),
    lines("space-version", "numpy 2.1\n", "requirements.txt:1", 'did you mean "numpy==2.1"?'),
    lines("pip-install", "pip install numpy\n", "requirements.txt:1", "only the names"),
    lines("missing-include", "# c\n-r bsae.txt\n", "requirements.txt:2", "bsae.txt cannot be read"),
    lines("include-url", "-r https://x.org/r.txt\n", "requirements.txt:1", "URL"),
    lines("include-itself", "-r requirements.txt\n", "requirements.txt:1", "includes itself"),
    lines("md5", f"a==1 --hash=md5:{'0' * 32}\n", "requirements.txt:1", "not a strong hash", "sha256"),
    lines("option-typo", "--find-link x\n", "requirements.txt:1", "did you mean '--find-links'?"),
    lines("find-links-missing", "-f wheels\n", "requirements.txt:1", "does not exist"),
    lines("no-binary", "--no-binary :all:\n", "requirements.txt:1", "not built from source"),
    lines(
        "password", "--index-url https://me:pw@x.org/simple\n", "requirements.txt:1", "credentials", "netrc"
    ),
    lines(
        "variable", "--index-url https://${NO_SUCH}@x.org\n", "requirements.txt:1", "${NO_SUCH} is not set"
    ),
    lines("bad-marker", 'a; python_versio < "3"\n', "requirements.txt:1", "not a requirement"),
    lines("continued", "numpy \\\n  ==\\\n 2=\n", "requirements.txt:1", "not a requirement"),
    Mistake("not-utf8", {"requirements.txt": b"a\xff\n"}, "requirements.txt", "requirements", ("UTF-8",)),
    Mistake(
        "loop",
        {"requirements.txt": "-r a.txt\n", "a.txt": "x\n-c b.txt\n", "b.txt": "-r a.txt\n"},
        "b.txt:1",
        "requirements",
        ("a.txt → b.txt → a.txt",),
    ),
    Mistake(
        "conda-lock",
        {"conda-lock.yml": "version: 1\n"},
        "conda-lock.yml",
        "requirements",
        ("conda", "--from-history"),
    ),
    Mistake("pipenv", {"Pipfile": ""}, "Pipfile", "requirements", ("pipenv requirements",)),
    project(
        "poetry-only",
        '[tool.poetry]\nname = "x"\n',
        "pyproject.toml",
        "project",
        "[tool.poetry]",
        "poetry export",
    ),
]
METADATA = [
    project(
        "requirement",
        f'{PYPROJECT}dependencies = [\n"a",\n"b=1"]\n',
        "pyproject.toml:6",
        "project.dependencies[1]",
        "not a requirement",
    ),
    project(
        "dependency-url",
        f'{PYPROJECT}dependencies = ["b @ https://x.org/b"]\n',
        "pyproject.toml:4",
        "project.dependencies[0]",
        "no source archive",
    ),
    project(
        "dependencies-string",
        f'{PYPROJECT}dependencies = "a"\n',
        "pyproject.toml:4",
        "project.dependencies",
        '["a"]',
    ),
    project(
        "requires-python",
        f'{PYPROJECT}requires-python = "3.11+"\n',
        "pyproject.toml:4",
        "requires-python",
        ">=3.11",
    ),
    project(
        "requires-none",
        f'{PYPROJECT}requires-python = ">=3.99"\n',
        "pyproject.toml:4",
        "requires-python",
        "excludes every",
    ),
    project(
        "group-include",
        '[dependency-groups]\na = [{ include-group = "bb" }]\nbc = []\n[project]\nname = "p"\n',
        "pyproject.toml:2",
        "dependency-groups.a[0]",
        "includes no group 'bb'",
    ),
    project(
        "group-loop",
        '[project]\nname = "p"\n[dependency-groups]\na = [{ include-group = "a" }]\n',
        "pyproject.toml:4",
        "dependency-groups.a",
        "includes itself",
    ),
    project(
        "uv-git",
        f'{PYPROJECT}[tool.uv.sources]\na = {{ git = "https://x.org/a", tag = "-x" }}\n',
        "pyproject.toml:5",
        "tool.uv.sources.a",
        "no branch, tag",
    ),
    project(
        "uv-index-password",
        f'{PYPROJECT}[[tool.uv.index]]\nurl = "https://u:p@x.org"\n',
        "pyproject.toml:5",
        "tool.uv.index[0].url",
        "credentials",
    ),
    Mistake(
        "excluded-python",
        {
            "pyproject.toml": f'{PYPROJECT}requires-python = ">=3.12"\n',
            "lading.toml": '[image]\n\npython = "3.11"\n',
        },
        "lading.toml:3",
        "image.python",
        ("excluded", "3.13"),
    ),
    Mistake(
        "python-version",
        {".python-version": "# x\npypy3.10\n"},
        ".python-version:2",
        "python",
        ("not supported",),
    ),
    Mistake("pylock", {"pylock.toml": "created-by = 'x'\n"}, "pylock.toml", "lock-version", ("PEP 751",)),
]
MISTAKES = [*SYNTAX, *STRUCTURE, *ADDED, *CONDA, *IMAGE, *TASKS, *SERVE, *REQUIREMENTS, *METADATA]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_named_with_its_place_and_a_remedy(mistake: Mistake, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_folder(tmp_path, mistake.files)
    found = [
        problem
        for problem in caught.value.problems
        if (problem.place, problem.key) == (mistake.place, mistake.key)
        and all(fragment in f"{problem.message} {problem.suggestion}" for fragment in mistake.says)
    ]
    assert found, "\n".join(map(str, caught.value.problems))
    assert "pw@" not in str(caught.value)


def test_all_mistakes_of_one_load_are_told_at_once(tmp_path: Path) -> None:
    files = {
        "lading.toml": "[image]\npython = 3.11\nx = 1\n[train]\nrun = 'a {b}'\nmemory = 1\n",
        "requirements.txt": "numpy=2\n-r gone.txt\n",
        ".python-version": "zzz\n",
    }
    with pytest.raises(ConfigError) as caught:
        load_folder(tmp_path, files)
    places = [problem.place for problem in caught.value.problems]
    expected = {
        "lading.toml:2",
        "lading.toml:3",
        "lading.toml:5",
        "lading.toml:6",
        "requirements.txt:1",
        "requirements.txt:2",
    }
    assert expected <= set(places)


def test_the_table_of_mistakes_has_no_row_twice() -> None:
    names = [mistake.name for mistake in MISTAKES]
    assert len(names) - len(set(names)) <= 1  # `not-utf8` is in two files
    assert len(MISTAKES) >= 45


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[image]\naccelerator = "rocm"\n',
            "  lading.toml:2: image.accelerator[0]: 'rocm' is not one of cpu, cuda, cu118, cu126, cu128, "
            "cu130",
        ),
        (
            "[image\n",
            "  lading.toml:1: is not TOML: Expected ']' at the end of a table declaration at column 7",
        ),
    ],
)
def test_place_choices_and_file_are_said_once(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_folder(tmp_path, {"lading.toml": text, "train.py": ""})

    assert caught.value.message.splitlines()[1:] == [line]
