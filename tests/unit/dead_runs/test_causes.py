"""Each cause of a run's death is told apart from its neighbours, and every finding ends in a remedy."""

from __future__ import annotations

import importlib
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dead_runs.cases import CASES
from dead_runs.death import DEATHS, Case
from lading.cli.commands import BY_NAME
from lading.cli.main import add_global_arguments, split_tail
from lading.cli.parser import Parser
from lading.inspect.doctor.cause import Area, all_causes
from lading.inspect.doctor.runs.diagnose import GENERAL, ORDER, certain_cause, diagnose_run
from lading.inspect.doctor.runs.evidence import RunEvidence
from lading.inspect.doctor.runs.words import read_words

PROGRAMS = (
    *(
        "apt-file",
        "chmod",
        "dmesg",
        "echo",
        "git",
        "head",
        "iostat",
        "kill",
        "ls",
        "lscpu",
        "nvidia-smi",
        "ss",
        "swapon",
    ),
    *("ulimit", "uv", "lading"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_death_has_its_cause(case: Case) -> None:
    findings = diagnose_run(case.evidence())
    told = "\n".join(f"{finding.cause} {finding.certain} {finding.proof}" for finding in findings)
    assert findings, "nothing found"
    assert (findings[0].cause, findings[0].certain) == (case.cause, case.certain), told
    assert case.remedy in findings[0].remedy
    # No neighbour is as certain, but how it ended where only the likely reason is known.
    certain = [finding.cause for finding in findings if finding.certain]
    assert certain == [case.cause] if case.certain else set(certain) <= GENERAL, told


def test_every_cause_has_a_death_and_a_place_in_the_order() -> None:
    causes = {cause.id for cause in all_causes().values() if cause.area is Area.RUN}
    assert {case.cause for case in CASES} == causes
    assert sorted(ORDER) == sorted(causes)


def test_every_recorded_death_is_used() -> None:
    used = {case.name for case in CASES if case.log is None}
    assert {path.stem for path in DEATHS.glob("*.log")} <= used | {"worker-kill"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_finding_ends_in_a_command_that_is_understood(case: Case) -> None:
    for finding in diagnose_run(case.evidence()):
        words = shlex.split(finding.remedy, comments=True)
        assert words[0] in PROGRAMS, finding.remedy
        if words[0] != "lading":
            continue
        command = BY_NAME[words[1]]
        module = importlib.import_module(f"lading.cli.{command.module}")
        parser = Parser(command.name, module.ABOUT, module.EXAMPLES, {})
        module.add_arguments(parser)
        add_global_arguments(parser)
        parser.parse(split_tail(words[2:])[0])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_was_said_and_survived_long_before_the_end_is_never_certain(case: Case) -> None:
    """A log may hold the words of any death: a warning, a retry, somebody else's log."""
    evidence = case.evidence()
    if evidence.exit_status in (None, 0) or not evidence.words.lines[0]:
        return
    later = "\n".join(["", *(f"step {number}" for number in range(100)), ""])
    text = (
        "\n".join(evidence.words.lines)
        + later
        + 'Traceback (most recent call last):\n  File "/app/a.py", line 1\nZeroDivisionError: division by '
        "zero\n"
    )
    run = RunEvidence(run_id="a", task="train", phase="failed", exit_status=1, words=read_words(text))
    found = certain_cause(diagnose_run(run))
    assert found is not None
    assert found.cause == "run-exception"
    assert "ZeroDivisionError" in found.proof[0]


@given(st.text(), st.integers(min_value=0, max_value=255))
@settings(deadline=None)
def test_any_output_and_exit_code_is_explained_without_an_error(text: str, status: int) -> None:
    run = RunEvidence(
        run_id="a",
        task="train",
        phase="failed",
        exit_status=status,
        words=read_words(f"Traceback {text}\n{text}"),
    )
    findings = diagnose_run(run)
    assert bool(findings) == (status != 0)
