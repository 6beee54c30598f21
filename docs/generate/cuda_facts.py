"""How old the CUDA facts are, and where the package index says otherwise: `make facts`.

    cuda_facts.py                 report
    cuda_facts.py --write         take the index's word: new rows, new days
    cuda_facts.py --file FILE     another file than lading's own

What a framework's wheel requires stands in its METADATA; uv reads that from the configured index and fetches
no wheel. Rows that no index knows (drivers, architectures) are told by age, with where to read them again.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from packaging.version import Version

from lading.errors import LadingError
from lading.lock.indexes import uv_environment
from lading.lock.uv import Uv

FILE = Path(__file__).parent.parent.parent / "src/lading/lock/data/cuda.toml"
FRAMEWORKS = {"torch": "torch"}
"""Kind of row → what to require."""
OLD_DAYS = 180
_LONGEST_REASON = 160
_RUNTIME = re.compile(r"^(?:nvidia-cuda-runtime(?:-cu\d\d)?|cuda-toolkit)==(?P<version>\S+)", re.MULTILINE)


def ask(requirement: str, name: str) -> tuple[str, str | None]:
    """The version that `requirement` comes to and the CUDA it brings. Raises LadingError."""
    with tempfile.TemporaryDirectory(prefix="lading-facts-") as scratch:
        wanted = Path(scratch) / "wanted.in"
        wanted.write_text(f"{requirement}\n")
        uv = Uv(folder=Path(scratch), environment=uv_environment(os.environ, "cuda"))
        target = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_40")
        flags = ("--no-build", "--no-header", "--no-annotate", *target)
        text = uv.run(("pip", "compile", str(wanted), *flags), doing=f"asking for {requirement}")
    version = re.search(rf"^{name}==(\S+)", text, re.MULTILINE)
    if version is None:
        raise LadingError(f"the index resolves {requirement} without {name}")
    found = [match["version"] for match in _RUNTIME.finditer(text)]
    # cuda-toolkit names the release; the runtime beside it may be of a later build.
    toolkit = re.search(r"^cuda-toolkit==(\S+)", text, re.MULTILINE)
    return version[1], toolkit[1] if toolkit else next(iter(found), None)


def asked_rows(document: Mapping[str, Any], today: date) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each framework row as the index has it today, with a word on what it was before."""
    for kind, requirement in FRAMEWORKS.items():
        known = {row["version"]: row for row in document.get(kind, ())}
        pins = [f"{requirement}=={version}" for version in known]
        for pin in (*pins, requirement):
            try:
                version, cuda = ask(pin, kind)
            except LadingError as error:
                yield kind, {}, f"{pin}: {error.message[:_LONGEST_REASON]}"
                continue
            before = known.get(version)
            if cuda is None or (pin == requirement and before is not None):
                continue
            row = {"version": version, "cuda": cuda, "source": "metadata", "read": today}
            if before is None:
                yield kind, row, f"{kind} {version}: CUDA {cuda}, not known before"
            elif Version(before["cuda"]) != Version(cuda):
                yield kind, row, f"{kind} {version}: CUDA {cuda}, written {before['cuda']}"
            else:
                yield kind, {**row, "cuda": before["cuda"]}, ""


def ages(document: Mapping[str, Any], today: date) -> Iterator[str]:
    """One line a source: how many rows, how old, and whether to read it again."""
    rows = [row for kind, held in document.items() if kind != "source" for row in held]
    for source, place in document["source"].items():
        held = [row["read"] for row in rows if row["source"] == source]
        days = (today - min(held)).days if held else 0
        again = f"  older than {OLD_DAYS} days: read it again" if days > OLD_DAYS else ""
        yield f"{source:<14} {len(held):>3} rows  {days:>4} days old  {place}{again}"


def merged(document: Mapping[str, Any], found: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """`document` with the rows that were found in place of those of the same version."""
    result = {kind: list(rows) if kind != "source" else rows for kind, rows in document.items()}
    for kind, row in found:
        kept = [one for one in result.get(kind, ()) if one["version"] != row["version"]]
        result[kind] = sorted([*kept, row], key=lambda one: Version(one["version"]))
    return result


def written(text: str, document: Mapping[str, Any]) -> str:
    """The file again: what stands before its first row stays as it is."""
    parts = [text[: text.index("[[")].rstrip("\n") + "\n"]
    for kind, rows in document.items():
        if kind != "source":
            parts += [
                "\n".join([f"[[{kind}]]", *(_line(*item) for item in row.items())]) + "\n" for row in rows
            ]
    return "\n".join(parts)


def _line(name: str, value: object) -> str:
    if isinstance(value, list):
        return f"{name} = [{', '.join(_quoted(item) for item in value)}]"
    return f"{name} = {_quoted(value)}" if isinstance(value, str) else f"{name} = {value}"


def _quoted(value: object) -> str:
    return f'"{value}"'


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--file", type=Path, default=FILE)
    options = parser.parse_args()
    today = date.today()
    text = options.file.read_text(encoding="utf-8")
    document = tomllib.loads(text)
    sys.stdout.write("".join(f"{line}\n" for line in ages(document, today)))
    found, differing = [], 0
    for kind, row, said in asked_rows(document, today):
        if said:
            sys.stdout.write(f"{said}\n")
            differing += 1
        if row:
            found.append((kind, row))
    sys.stdout.write(f"{len(found)} rows asked of the index, {differing} to look at\n")
    if options.write:
        options.file.write_text(written(text, merged(document, found)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
