"""Packages without wheels are built once, in a container, and never on this machine."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from source_trees import EXTENSION, SETUP_EXTENSION, SETUP_TORCH, git, library, sdist

from lading.store import Store
from services.process import Tool

pytestmark = [pytest.mark.network, pytest.mark.slow]

SETUP_HOSTILE = """import json, os, socket, urllib.request
from setuptools import setup
PLAN = json.load(open("plan.json"))
found = {}
def attempt(name, act):
    try:
        found[name] = repr(act())
    except Exception as error:
        found[name] = "stopped: %s" % type(error).__name__
attempt("write", lambda: open(PLAN["outside"], "w").write("was here"))
attempt("read", lambda: open(PLAN["secret"]).read())
attempt("home", lambda: os.listdir(PLAN["home"]))
attempt("system", lambda: open("/usr/bin/left-behind", "w").write("x"))
attempt("loopback", lambda: urllib.request.urlopen(PLAN["url"], timeout=5).read())
attempt("network", lambda: socket.create_connection(("192.0.2.1", 80), 2))
attempt("variables", lambda: sorted(name for name in os.environ if "SECRET" in name))
attempt("processes", lambda: len([name for name in os.listdir("/proc") if name.isdigit()]))
open("demo_hostile.py", "w").write("FOUND = %r\\n" % found)
setup(name="demo-hostile", version="1.0", py_modules=["demo_hostile"])
"""


def project(root: Path, requirements: str, train: str, config: str = "") -> Path:
    root.mkdir(exist_ok=True)
    (root / "requirements.txt").write_text(requirements)
    (root / "train.py").write_text(train)
    (root / "lading.toml").write_text(f'[image]\npython = "3.11"\nbase = "debian:bookworm"\n{config}')
    return root


def built(root: Path) -> dict[str, dict[str, Any]]:
    document = tomllib.loads((root / "lading.lock").read_text())
    return {build["name"]: build for variant in document["variant"] for build in variant.get("build", ())}


@pytest.fixture
def extension(tmp_path: Path) -> Path:
    sdist(
        tmp_path / "sdists", "demo_extension", "1.5", {"setup.py": SETUP_EXTENSION, "extension.c": EXTENSION}
    )
    return project(
        tmp_path / "p",
        "--find-links ../sdists\ndemo-extension\n",
        "import demo_extension\nprint(demo_extension.answer())\n",
    )


@pytest.fixture
def server() -> Iterator[str]:
    """A server of this machine, which a build must not reach."""
    quiet = type("Quiet", (http.server.BaseHTTPRequestHandler,), {"log_message": lambda *_: None})
    listener = http.server.HTTPServer(("127.0.0.1", 0), quiet)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listener.server_port}/"
    listener.shutdown()
    thread.join()
    listener.server_close()


def test_an_sdist_with_a_c_extension_is_built_and_imported_and_built_once(
    lading: Tool, extension: Path
) -> None:
    first = lading("lock", extension)
    assert "building demo-extension from source" in first.stderr
    build = built(extension)["demo-extension"]
    assert build["isolation"] == "namespaces"
    assert build["source"]["location"] == "demo_extension-1.5.tar.gz"
    assert str(extension) not in (extension / "lading.lock").read_text()
    assert lading("run", "--", "python", "train.py", cwd=extension).stdout.split() == ["42"]
    again = lading("lock", "--upgrade", extension)
    assert "building" not in again.stderr
    assert "building" not in lading("build", extension).stderr


def test_one_that_imports_torch_while_it_builds_sees_the_locked_torch(lading: Tool, tmp_path: Path) -> None:
    sdist(tmp_path / "sdists", "demo_kernels", "2.0", {"setup.py": SETUP_TORCH})
    root = project(
        tmp_path / "p",
        "--find-links ../sdists\ntorch\ndemo-kernels\n",
        "import demo_kernels, torch\nprint(demo_kernels.BUILT_WITH == torch.__version__)\n",
        '[image.build.demo-kernels]\nneeds = ["torch"]\n',
    )
    lading("lock", root)
    wheels = {wheel["name"]: wheel["version"] for wheel in built(root)["demo-kernels"]["wheel"]}
    assert wheels["torch"].endswith("+cpu")
    assert lading("run", "--", "python", "train.py", cwd=root).stdout.split() == ["True"]


def test_a_hostile_setup_py_reaches_nothing(lading: Tool, tmp_path: Path, server: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the host's")
    plan = {"outside": str(tmp_path / "outside"), "secret": str(secret), "home": str(tmp_path), "url": server}
    sdist(
        tmp_path / "sdists", "demo_hostile", "1.0", {"setup.py": SETUP_HOSTILE, "plan.json": json.dumps(plan)}
    )
    root = project(
        tmp_path / "p",
        "--find-links ../sdists\ndemo-hostile\n",
        "import json, demo_hostile\nprint(json.dumps(demo_hostile.FOUND))\n",
    )
    lading("lock", root, env={"MY_SECRET": "s3cret"})
    found = json.loads(lading("run", "--", "python", "train.py", cwd=root).stdout)
    assert not (tmp_path / "outside").exists()
    for act in ("write", "read", "home", "system", "loopback", "network"):
        assert found[act].startswith("stopped"), (act, found[act])
    assert found["variables"] == "[]"
    assert int(found["processes"]) < 10


def test_a_failing_build_says_who_what_and_what_to_do_and_leaves_nothing(
    lading: Tool, tmp_path: Path, warm_home: Path
) -> None:
    sdist(tmp_path / "sdists", "demo_broken", "1.0", {"setup.py": "import nowhere_to_be_found\n"})
    root = project(tmp_path / "p", "--find-links ../sdists\ndemo-broken\n", "")
    failed = lading("lock", root, check=False)
    assert failed.returncode == 1
    assert "building demo-broken failed" in failed.stderr
    assert "ModuleNotFoundError: No module named 'nowhere_to_be_found'" in failed.stderr
    assert "[image.build.demo-broken] needs" in failed.stderr
    assert "Traceback (most recent call last)" not in failed.stderr.replace("  | Traceback", "")
    assert not (root / "lading.lock").exists()
    assert list((warm_home / "builds").iterdir()) == []


def forget_tails(store: Store) -> None:
    """Layers of small wheels, and images, are made anew."""
    for key in list(store.layers.keys()):
        if (store.layers.get(key) or {}).get("kind") == "tail":
            store.layers.remove(key)
    for key in list(store.images.keys()):
        store.images.remove(key)


def test_a_wheel_that_is_gone_is_built_again_and_compared(
    lading: Tool, extension: Path, warm_home: Path
) -> None:
    lading("lock", extension)
    sha256 = built(extension)["demo-extension"]["sha256"]
    (warm_home / "blobs/sha256" / sha256).unlink()
    store = Store(warm_home)
    forget_tails(store)
    again = lading("build", "--locked", extension)
    assert "building demo-extension from source" in again.stderr
    wheel = warm_home / "blobs/sha256" / sha256
    content = wheel.read_bytes()
    wheel.chmod(0o644)
    wheel.write_bytes(content[::-1])  # R40: spoilt, it is as good as gone
    forget_tails(store)
    spoilt = lading("build", "--locked", extension)
    assert "building demo-extension from source" in spoilt.stderr
    assert (spoilt.stdout, wheel.read_bytes()) == (again.stdout, content)
    lock = (extension / "lading.lock").read_text()
    (extension / "lading.lock").write_text(lock.replace(sha256, "0" * 64))
    refused = lading("build", "--locked", extension, check=False)
    assert refused.returncode == 3
    assert "came out as" in refused.stderr


def test_two_at_once_build_once(lading: Tool, tmp_path: Path, warm_home: Path) -> None:
    marked = SETUP_EXTENSION + "# of two at once\n"
    sdist(tmp_path / "sdists", "demo_extension", "1.5", {"setup.py": marked, "extension.c": EXTENSION})
    roots = [
        project(tmp_path / name, "--find-links ../sdists\ndemo-extension\n", "") for name in ("one", "two")
    ]
    environment = {**os.environ, "LADING_HOME": str(warm_home)}
    running = [
        subprocess.Popen(
            [*lading.prefix, "lock", str(root)], env=environment, stderr=subprocess.PIPE, text=True
        )
        for root in roots
    ]
    said = [process.communicate(timeout=600)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sum("building demo-extension from source" in text for text in said) == 1
    assert built(roots[0])["demo-extension"] == built(roots[1])["demo-extension"]


def test_killed_half_way_it_leaves_nothing_that_the_next_build_does_not_take_away(
    lading: Tool, tmp_path: Path, warm_home: Path
) -> None:
    slow = "import time\nprint('sleeping', flush=True)\ntime.sleep(600)\n"
    sdist(tmp_path / "sdists", "demo_slow", "1.0", {"setup.py": slow})
    root = project(tmp_path / "p", "--find-links ../sdists\ndemo-slow\n", "")
    process = subprocess.Popen(
        [*lading.prefix, "lock", str(root)],
        env={**os.environ, "LADING_HOME": str(warm_home)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    builds = warm_home / "builds"
    deadline = time.monotonic() + 300
    while not (builds.is_dir() and any((work / "source").is_dir() for work in builds.iterdir())):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    sdist(tmp_path / "sdists", "demo_slow", "1.0", {"setup.py": "raise SystemExit('now it ends')\n"})
    assert "now it ends" in lading("lock", root, check=False).stderr
    assert list(builds.iterdir()) == []
    assert list((warm_home / "scratch").iterdir()) == []


def test_git_folders_and_editable_ones_are_built_from_what_they_hold(lading: Tool, tmp_path: Path) -> None:
    repository = library(tmp_path / "repository", "demo-git", "first")
    git(repository, "init", "--quiet")
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "one")
    git(repository, "tag", "v1")
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "demo_git.py").write_text("VALUE = 'later'\n")
    git(repository, "commit", "--quiet", "-am", "two")
    library(tmp_path / "folder", "demo-folder", "folder")
    library(tmp_path / "editable", "demo-editable", "editable")
    root = project(
        tmp_path / "p",
        f"demo-git @ git+{repository.as_uri()}@v1\n../folder  # with a word\n-e ../editable\n",
        "import demo_git, demo_folder, demo_editable\n"
        "print(demo_git.VALUE, demo_folder.VALUE, demo_editable.VALUE)\n",
    )
    lading("lock", root)
    assert built(root)["demo-git"]["source"]["digest"] == commit
    assert str(tmp_path) not in (root / "lading.lock").read_text()
    assert lading("run", "--", "python", "train.py", cwd=root).stdout.split() == [
        "first",
        "folder",
        "editable",
    ]
    (tmp_path / "folder/demo_folder.py").write_text("VALUE = 'edited'\n")
    assert lading("lock", "--locked", root, check=False).returncode == 4
    lading("lock", root)
    assert "edited" in lading("run", "--", "python", "train.py", cwd=root).stdout


def test_a_project_that_must_be_built_runs_and_a_readme_edit_builds_nothing(
    lading: Tool, tmp_path: Path
) -> None:
    root = project(tmp_path / "p", "six\n", "from demo_project import fast\nprint(fast.answer())\n")
    package = root / "demo_project"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "fast.c").write_text(EXTENSION.replace("demo_extension", "fast"))
    (root / "README.md").write_text("one\n")
    (root / "setup.py").write_text(
        "from setuptools import Extension, setup\n"
        'setup(ext_modules=[Extension("demo_project.fast", ["demo_project/fast.c"])])\n'
    )
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=64", "setuptools-scm"]\n'
        'build-backend = "setuptools.build_meta"\n'
        '[project]\nname = "demo-project"\nreadme = "README.md"\ndynamic = ["version"]\n'
        '[tool.setuptools]\npackages = ["demo_project"]\n[tool.setuptools_scm]\n'
    )
    first = lading("run", "--", "python", "train.py", cwd=root)
    assert first.stdout.split() == ["42"]
    digest = lading("build", root).stdout
    (root / "README.md").write_text("two\n")
    again = lading("build", root)
    assert "building" not in again.stderr
    assert again.stdout == digest


@pytest.mark.root
def test_where_nothing_keeps_code_apart_a_build_is_refused_unless_it_is_allowed(
    lading: Tool, tmp_path: Path
) -> None:
    marked = SETUP_EXTENSION + "# without isolation\n"
    sdist(tmp_path / "sdists", "demo_extension", "1.5", {"setup.py": marked, "extension.c": EXTENSION})
    root = project(tmp_path / "p", "--find-links ../sdists\ndemo-extension\n", "")
    level = {"LADING_EMBEDDED_LEVEL": "process"}
    refused = lading("lock", root, env=level, check=False)
    assert refused.returncode == 3
    assert "--allow-unisolated-builds" in refused.stderr
    allowed = lading("lock", "--allow-unisolated-builds", root, env=level)
    assert "without isolation" in allowed.stderr
    assert built(root)["demo-extension"]["isolation"] == "process"
