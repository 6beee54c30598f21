"""Each cause is told apart from its neighbours: one thing broken gives that finding and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor import gpu_cases, host_cases, lock_cases
from doctor.gpu_cases import Make
from doctor.hosts import Break, FakeHost, gpu_host, plain_host
from doctor.test_answers import CAUSES as ANSWERED
from lading.cli.commands import BY_NAME
from lading.inspect.doctor.cause import Area, all_causes


def _on_plain(change: Break) -> Make:
    def make(root: Path) -> FakeHost:
        host = plain_host(root)
        change(host)
        return host

    return make


ALL: dict[str, tuple[Make, ...]] = {
    **{name: tuple(map(_on_plain, changes)) for name, changes in host_cases.CASES.items()},
    **gpu_cases.CASES,
    **lock_cases.CASES,
}
EACH = [
    pytest.param(name, make, id=f"{name}-{at}")
    for name, makes in ALL.items()
    for at, make in enumerate(makes)
]
WORKING = [
    pytest.param(make, id=name)
    for name, make in {**gpu_cases.WORKING, **host_cases.WORKING, **lock_cases.WORKING}.items()
]


@pytest.mark.parametrize(("name", "make"), EACH)
def test_a_fault_is_its_own_finding_and_no_neighbours(name: str, make: Make, tmp_path: Path) -> None:
    host = make(tmp_path)
    assert set(host.causes()) == {name}


@pytest.mark.parametrize("make", WORKING)
def test_a_host_that_works_has_no_finding(make: Make, tmp_path: Path) -> None:
    assert make(tmp_path).causes() == []


def test_every_cause_of_a_host_has_a_fixture() -> None:
    hosts = {name for name, cause in all_causes().items() if cause.area is not Area.RUN}
    assert hosts == ALL.keys() | ANSWERED
    assert len(hosts) >= 45


@pytest.mark.parametrize(("name", "make"), EACH)
def test_a_finding_has_proof_and_ends_in_a_command(name: str, make: Make, tmp_path: Path) -> None:
    for finding in make(tmp_path).findings():
        assert finding.proof
        assert all(line.strip() and "\n" not in line for line in finding.proof)
        assert finding.remedy.strip()
        assert finding.page.endswith(f"{name}.md")
        words = finding.remedy.split()
        if "lading" in words:
            assert words[words.index("lading") + 1] in BY_NAME


def test_every_cause_has_a_page_of_its_own() -> None:
    pages = [cause.page for cause in all_causes().values()]
    assert all(len(page) > 60 for page in pages)
    assert len(set(pages)) == len(pages)


def test_two_faults_are_two_findings_and_the_worst_comes_first(tmp_path: Path) -> None:
    host = gpu_host(tmp_path, mig="Enabled", mig_pending="Enabled")
    host.environment["CUDA_VISIBLE_DEVICES"] = "-1"
    host.closed.add(host.root / "sys/fs/cgroup")
    assert [finding.cause for finding in host.findings()] == [
        "mig-empty",
        "gpus-hidden",
        "cgroups-not-delegated",
    ]


def test_no_secret_is_in_a_finding(tmp_path: Path) -> None:
    host = plain_host(tmp_path)
    for change in (*host_cases.CASES["log-in-expired"][:1], *host_cases.CASES["proxy-malformed"]):
        change(host)
    host.environment["HTTP_PROXY"] = "http://ada:hunter2@proxy.example:3128"
    said = str([finding.as_json() for finding in host.findings()])
    assert "proxy.example" in said
    for secret in ("hunter2", "p/w", "ada:", "1700000000", host_cases.encoded("AWS:")[:5]):
        assert secret not in said
