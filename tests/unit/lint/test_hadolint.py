"""hadolint beside the own rules: its ids, lines and levels are kept, and its false alarms on ML files are
not.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.errors import OutsideError
from lading.inspect.lint.dockerfile import read_dockerfile
from lading.inspect.lint.engine import Report, lint_files
from lading.inspect.lint.fix import mended
from lading.inspect.lint.hadolint import find_program, run_hadolint
from lading.inspect.lint.hadolint_doubts import readable_for_hadolint
from lading.inspect.lint.model import Severity
from lint.corpus import WRITTEN, corpus

SLIM = "FROM python:3.12-slim\nWORKDIR /app\n"
ALARMS = {
    "DL3013": (SLIM + "RUN pip install --no-cache-dir --torch-backend cu124 torch==2.6.0\n",
               SLIM + "RUN pip install --no-cache-dir torch\n"),
    "DL3022": ("FROM debian:12\nCOPY --from=ghcr.io/astral-sh/uv /uv /bin/uv\n",
               "FROM debian:12\nCOPY --from=uv /uv /bin/uv\n"),
    "DL3045": ("FROM pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime\nCOPY a.py .\n",
               "FROM debian:12\nCOPY a.py .\n"),
    "DL3059": (SLIM + "RUN pip install --no-cache-dir torch==2.6.0\nRUN pip install --no-cache-dir a==1\n",
               "FROM debian:12\nRUN touch /a\nRUN touch /b\nRUN touch /c\n"),
    "SC2102": (SLIM + "COPY . .\nRUN pip install --no-cache-dir -e .[test]\n",
               "FROM debian:12\nRUN ls [test]\n"),
    "SC2215": ("FROM debian:12\nRUN --device=nvidia.com/gpu=all nvidia-smi\n",
               "FROM debian:12\nRUN touch \\\n  /a &&\\\n  -r /b\n"),
}  # fmt: skip
"""By id: a file of which hadolint says it wrongly, and one of which it is right."""


def said(folder: Path, text: str) -> Report:
    path = folder / "Dockerfile"
    path.write_bytes(text.encode())
    return lint_files([path], {}, with_hadolint=lambda path: True)


def alone(*paths: Path) -> list[tuple[str, str]]:
    return [(entry.path, entry.code) for entry in run_hadolint(find_program(), [str(path) for path in paths])]


@pytest.mark.parametrize("code", ALARMS)
def test_a_false_alarm_is_taken_out_and_the_right_one_stays(code: str, tmp_path: Path) -> None:
    wrong, right = ALARMS[code]
    assert code not in {finding.rule for finding in said(tmp_path, wrong).findings}
    assert code in {code for _, code in alone(tmp_path / "Dockerfile")}, "hadolint itself says it"
    assert code in {finding.rule for finding in said(tmp_path, right).findings}


def test_ids_places_and_levels_are_hadolints(tmp_path: Path) -> None:
    report = said(tmp_path, "FROM debian\n\nRUN sudo true\nENV CUDA_VISIBLE_DEVICES=0\n")
    assert [(finding.line, finding.rule, finding.severity) for finding in report.findings] == [
        (1, "DL3006", Severity.WARNING),
        (3, "DL3004", Severity.ERROR),
        (4, "LDD032", Severity.WARNING),
    ]


@pytest.mark.parametrize(
    "heredoc",
    ["RUN <<E\napt-get update\nE\n", "COPY <<E /a\ntext\nE\n", "COPY <<-'E' <<F /a/\n\tx\n\tE\ny\nF\n",
     "RUN python3 <<E\nimport a\nE\n", "RUN <<E python3\nimport a\nE\n", "RUN <<E\n#!/bin/sh\nE\n# note\n"],
)  # fmt: skip
def test_a_heredoc_hides_nothing_that_stands_below(heredoc: str, tmp_path: Path) -> None:
    report = said(tmp_path, SLIM + heredoc + "RUN sudo true\n")
    line = (SLIM + heredoc).count("\n") + 1
    assert (line, "DL3004") in {(finding.line, finding.rule) for finding in report.findings}
    assert report.unread == []


def test_the_form_for_hadolint_keeps_every_other_line() -> None:
    text = "FROM a\nRUN <<E\nx\nE\nCOPY <<F /b\ny\nF\nCMD z\n"
    made, lines = readable_for_hadolint(read_dockerfile(text))
    assert made == "FROM a\nRUN <<E\nx\nE\n\nCOPY xxx /b\n\n\n\nCMD z\n"
    assert lines == (1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9)


def test_a_comment_or_a_level_takes_a_remark_back(tmp_path: Path) -> None:
    text = "# lading: ignore DL3006 the mirror has one tag\nFROM debian\nRUN sudo true\n"
    assert [finding.rule for finding in said(tmp_path, text).findings] == ["DL3004"]
    levels = {"DL3004": Severity.OFF, "DL3006": Severity.ERROR}
    report = lint_files([tmp_path / "Dockerfile"], levels, with_hadolint=lambda path: True)
    assert report.findings == []


def test_what_it_cannot_parse_is_named_and_no_finding(tmp_path: Path) -> None:
    report = said(tmp_path, "FROM debian:12\nENV\n")
    assert [path for path, _ in report.unread] == [str(tmp_path / "Dockerfile")]
    assert {finding.rule for finding in report.findings} == set()


def test_a_program_that_fails_is_an_error_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="does not exist"):
        run_hadolint(find_program(), [str(tmp_path / "absent")])


@pytest.mark.slow
def test_mends_bring_nothing_that_hadolint_did_not_say_before(tmp_path: Path) -> None:
    texts = {
        f"w{at}": path.read_bytes().decode() for at, path in enumerate(sorted(WRITTEN.glob("*/Dockerfile*")))
    }
    texts |= {f"c{at}": sample.text for at, sample in enumerate(corpus()[:200:2])}
    for name, text in texts.items():
        for version in ("before", "after"):
            path = tmp_path / version / name / "Dockerfile"
            path.parent.mkdir(parents=True)
            path.write_bytes(text.encode())
    after = sorted((tmp_path / "after").glob("*/Dockerfile"))
    changed = set()
    for path in after:
        findings = lint_files([path], {}).findings
        text = path.read_bytes().decode()
        if (new := mended(text, findings)) != text:
            path.write_bytes(new.encode())
            changed.add(path.parent.name)
    assert len(changed) > 50
    before = [tmp_path / "before" / path.parent.name / "Dockerfile" for path in after]

    def counts(paths: list[Path]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path, code in alone(*paths):
            found.setdefault(Path(path).parent.name, []).append(code)
        return found

    was, now = counts(before), counts(after)
    for name in changed:
        left = list(was.get(name, []))
        for code in now.get(name, []):
            assert code in left, (name, code)
            left.remove(code)
    assert sum(map(len, now.values())) <= sum(map(len, was.values()))
