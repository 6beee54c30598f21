"""lading's half of the comparison: the same wheels on disk, the lock ready, base and interpreter built.

Each measured build starts from a copy of a store that holds the base, the interpreter and their bytecode, but
no layer of a wheel.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.places import BENCH, PYTHON_VERSION, SUITE, WHEELS, user_environment
from benchmarks.wheels61 import LOCK

_PROJECT = """\
[image]
python   = "{python}"
base     = "debian:{suite}"
bytecode = {bytecode}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LadingSide:
    """Two projects that differ in bytecode only, and the stores they are built in."""

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).parent / "lading"), *arguments]

    def environment(self, store: Path) -> Mapping[str, str]:
        clean = user_environment()
        return {**clean, "LADING_HOME": str(store), "UV_FIND_LINKS": str(WHEELS)}

    def project(self, *, bytecode: bool) -> Path:
        return self.folder / f"project-{'bytecode' if bytecode else 'plain'}"

    def store(self, *, bytecode: bool) -> Path:
        """The store of the last measured build."""
        return self.folder / f"store-{'bytecode' if bytecode else 'plain'}"

    def run(self, *arguments: str, store: Path, cwd: Path) -> tuple[str, float]:
        """Standard output and seconds of one command."""
        began = time.perf_counter()
        done = subprocess.run(
            self.command(*arguments),
            cwd=cwd,
            env=self.environment(store),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout, time.perf_counter() - began

    def prepare(self) -> None:
        """Locks of both projects, and a store with everything that a first build shares with others."""
        shutil.rmtree(self.folder, ignore_errors=True)
        bare = self._write_project(self.folder / "project-bare", bytecode=False, requirements="")
        self.run("build", store=self.folder / "store-base", cwd=bare)
        for bytecode in (False, True):
            project = self._write_project(
                self.project(bytecode=bytecode), bytecode=bytecode, requirements=LOCK.read_text()
            )
            self.run("lock", store=self.folder / "store-lock", cwd=project)

    def fresh_store(self, *, bytecode: bool) -> Path:
        """The store of the next measured build: base and interpreter, no wheel."""
        store = self.store(bytecode=bytecode)
        shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(self.folder / "store-base", store, symlinks=True)
        return store

    def build(self, *, bytecode: bool, warm: bool = False) -> float:
        """Seconds of `lading build`; `warm` builds again in the store of the build before."""
        store = self.store(bytecode=bytecode) if warm else self.fresh_store(bytecode=bytecode)
        _, seconds = self.run("build", "--locked", store=store, cwd=self.project(bytecode=bytecode))
        return seconds

    def _write_project(self, folder: Path, *, bytecode: bool, requirements: str) -> Path:
        folder.mkdir(parents=True)
        text = _PROJECT.format(python=PYTHON_VERSION, suite=SUITE, bytecode=str(bytecode).lower())
        (folder / "lading.toml").write_text(text)
        (folder / "requirements.txt").write_text(requirements)
        (folder / "main.py").write_text('print("hello")\n')
        return folder


def lading_side() -> LadingSide:
    """Prepared, ready to be measured."""
    side = LadingSide(folder=BENCH / "lading")
    side.prepare()
    return side
