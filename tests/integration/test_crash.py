"""kill -9 in the middle of everything: the store stays whole, and the next command needs no repair.

strace kills at the entry of one chosen system call: the n-th of its name that a thread makes. The points are
spread evenly over all calls that change something, as a first, undisturbed run made them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.process import CommandFailed, Tool, require

pytestmark = [pytest.mark.slow, pytest.mark.engines, pytest.mark.root, pytest.mark.network]

CHANGING = (
    *("write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate", "rename", "renameat", "renameat2"),
    *("link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "symlink", "symlinkat"),
    *("chmod", "fchmod", "fchmodat", "mount", "umount2", "flock"),
)
AT_ONCE = 2
_FINISHED = ("blobs", "trees", "toolchains")
_CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\(", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A store and a project in it, as they stand when the command that will be killed begins."""

    store: Path
    project: Path

    def copied(self, folder: Path) -> Scene:
        """The same scene elsewhere.

        Finished blobs and trees are shared as hard links: whoever changed one in place would be found out,
        because every later scene has it too.
        """
        copy = Scene(store=folder / "store", project=folder / "project")
        copy.store.mkdir(parents=True)
        for part in self.store.iterdir():
            how = os.link if part.name in _FINISHED else shutil.copy2
            if part.is_dir():
                shutil.copytree(part, copy.store / part.name, symlinks=True, copy_function=how)
            else:
                shutil.copy2(part, copy.store / part.name)
        shutil.copytree(self.project, copy.project)
        return copy

    def lading(self, *arguments: str, strace: Sequence[str] = ()) -> str:
        """Standard output of one command in the project."""
        return self._tool(strace)(*arguments, cwd=self.project).stdout

    def killed(self, *arguments: str, strace: Sequence[str]) -> bool:
        """Whether the command came to a bad end under `strace`, which shares the signal that ended it."""
        return self._tool(strace)(*arguments, cwd=self.project, check=False).returncode != 0

    def _tool(self, strace: Sequence[str]) -> Tool:
        program = str(Path(sys.executable).parent / "lading")
        return Tool(prefix=(*strace, program), env={"LADING_HOME": str(self.store)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where to kill: at the `number`-th call of `name`."""

    name: str
    number: int


def spread_points(trace: str, count: int) -> list[Point]:
    """`count` different points, evenly spread over an undisturbed run; fewer if it made fewer calls."""
    seen: Counter[tuple[str, str]] = Counter()
    points = []
    for match in _CALL.finditer(trace):
        key = (match["pid"], match["name"])
        seen[key] += 1
        points.append(Point(name=match["name"], number=seen[key]))
    different = list(dict.fromkeys(points))
    step = max(1.0, len(different) / count)
    return [different[int(number * step)] for number in range(min(count, len(different)))]


def kill_everywhere(
    scene: Scene, command: Sequence[str], count: int, result: Callable[[Scene], str], tmp_path: Path
) -> int:
    """Kill `command` at up to `count` points, each on a fresh copy of `scene`; how often it really died.

    After each kill the store verifies, nothing is left mounted, and `command` run again gives the `result` of
    a run that nobody disturbed.
    """
    strace = (require("strace", "strace"), "-f", "-qq")
    first = scene.copied(tmp_path / "undisturbed")
    trace = tmp_path / "trace"
    first.lading(*command, strace=(*strace, "-o", str(trace), "-e", f"trace={','.join(CHANGING)}"))
    expected = result(first)
    points = spread_points(trace.read_text(errors="replace"), count)

    died: list[Point] = []

    def check(numbered: tuple[int, Point]) -> str | None:
        number, point = numbered
        folder = tmp_path / str(number)
        broken = scene.copied(folder)
        inject = f"inject={point.name}:signal=KILL:when={point.number}"
        flags = (*strace, "-o", "/dev/null", "-e", f"trace={point.name}", "-e", inject)
        if broken.killed(*command, strace=flags):
            died.append(point)
        try:
            assert str(folder) not in Path("/proc/self/mountinfo").read_text(), "something is left mounted"
            broken.lading("store", "verify")
            broken.lading(*command)
            assert result(broken) == expected
        except (AssertionError, CommandFailed) as error:
            return f"killed at {point}: {error}"
        shutil.rmtree(folder)
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        failures = [text for text in pool.map(check, enumerate(points)) if text is not None]
    assert failures == []
    return len(died)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Base and interpreter built, so that what is killed is small; no wheel, no code yet."""
    folder = tmp_path_factory.mktemp("crash")
    scene = Scene(store=folder / "store", project=folder / "project")
    scene.project.mkdir()
    (scene.project / "lading.toml").write_text('image.python = "3.11"\nimage.bytecode = false\n')
    (scene.project / "main.py").write_text("import idna\n\nprint(idna.encode('b\\u00fccher.example'))\n")
    scene.lading("build")
    (scene.project / "lading.lock").unlink()
    (scene.project / "requirements.txt").write_text("idna\nsix\n")
    shutil.rmtree(scene.store / "mirror")
    return scene


@pytest.fixture(scope="module")
def locked(template: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    scene = template.copied(tmp_path_factory.mktemp("locked"))
    scene.lading("lock")
    return scene


@pytest.fixture(scope="module")
def built(locked: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    scene = locked.copied(tmp_path_factory.mktemp("built"))
    scene.lading("build")
    return scene


@pytest.fixture(scope="module")
def cluttered(built: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Two images, the older of which nobody needs."""
    scene = built.copied(tmp_path_factory.mktemp("cluttered"))
    (scene.project / "main.py").write_text("print('changed')\n")
    (scene.project / "requirements.txt").write_text("idna\n")
    scene.lading("lock")
    scene.lading("build")
    return scene


def image_digest(scene: Scene) -> str:
    digest: str = json.loads(scene.lading("build", "--locked", "--json"))["digest"]
    return digest


def lock_text(scene: Scene) -> str:
    """The lock without when its mirror's indexes were signed: a mirror may move on between two locks."""
    lines = (scene.project / "lading.lock").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith(("date = ", "release_sha256 = ")))


@pytest.mark.catalogue("S13")
def test_lock(template: Scene, tmp_path: Path) -> None:
    """Killed while locking, indexes not yet fetched: the next lock says the same."""
    lock = kill_everywhere(template, ("lock",), 42, lock_text, tmp_path)
    assert lock >= 25


@pytest.mark.catalogue("S01", "S02", "S03", "S04", "S05", "S06", "S07", "S08", "S09", "S10", "S11", "S13")
def test_layers_and_assembly(locked: Scene, tmp_path: Path) -> None:
    """Killed while writing layers, config, manifest and the ledger: the next build has the same digest."""
    build = ("build", "--locked", "--workers", "1")
    assert kill_everywhere(locked, build, 116, image_digest, tmp_path) >= 100


@pytest.fixture(scope="module")
def half_unpacked(template: Scene, locked: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Base and interpreter unpacked, the wheels and the code built but not unpacked."""
    scene = template.copied(tmp_path_factory.mktemp("unpacked"))
    (scene.project / "requirements.txt").write_text("")
    scene.lading("run", "--", "true")
    for name in ("requirements.txt", "lading.lock"):
        shutil.copy2(locked.project / name, scene.project / name)
    scene.lading("build", "--locked")
    return scene


@pytest.mark.catalogue("S13")
def test_extraction(half_unpacked: Scene, tmp_path: Path) -> None:
    """Killed while unpacking and starting: the next run works and leaves nothing mounted."""
    run = ("run", "--locked", "--", "python", "main.py")
    assert kill_everywhere(half_unpacked, run, 126, lambda scene: scene.lading(*run), tmp_path) >= 110


@pytest.mark.catalogue("S12", "S13")
def test_collection(cluttered: Scene, tmp_path: Path) -> None:
    """Killed while collecting: what is needed is still there, and the image is the same."""
    collect = ("store", "gc", "--keep", "0")
    assert kill_everywhere(cluttered, collect, 80, image_digest, tmp_path) >= 70


def test_points_are_spread() -> None:
    """Points count each call by thread and name, and cover the trace from its first call to its last."""
    trace = "1 write(1\n1 write(1\n2 write(1\n1 rename(a\n"
    assert spread_points(trace, 9) == [
        Point(name="write", number=1),
        Point(name="write", number=2),
        Point(name="rename", number=1),
    ]


def test_strace_is_the_one_that_can_inject() -> None:
    """With `--seccomp-bpf` strace 6.1 follows children and never injects, so that flag is not used."""
    strace = require("strace", "strace")
    flags = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=write", "-e", "inject=write:signal=KILL:when=1"]
    done = subprocess.run([strace, *flags, "/bin/echo", "alive"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-9, b"")
