"""Decisions before a process exists: what is refused, in which order mounts are made, how big /dev/shm is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lading.engine.embedded.plan import (
    check_spec,
    choose_cpus,
    distinct_layers,
    environment_of,
    etc_files,
    places_of,
    shm_bytes_of,
)
from lading.engine.model import ImageLayer, Mount, RunSpec
from lading.errors import EngineError
from lading.oci.digest import DiffId, Digest
from lading.project.limits import Limits

LAYER = ImageLayer(digest=Digest.of(b"a"), diff_id=DiffId.of(b"b"), size_bytes=1)
SPEC = RunSpec(run_id="r1", layers=(LAYER,), command=("true",))


def mount(target: str) -> Mount:
    return Mount(source=Path("/host"), target=target)


@pytest.mark.parametrize(
    "spec",
    [
        replace(SPEC, run_id="../x"),
        replace(SPEC, run_id=""),
        replace(SPEC, run_id=".hidden"),
        replace(SPEC, layers=()),
        replace(SPEC, command=()),
        replace(SPEC, command=("a\0b",)),
        replace(SPEC, env={"A=B": "1"}),
        replace(SPEC, env={"A": "1\0"}),
        replace(SPEC, secrets={"": "1"}),
        replace(SPEC, hostname="a b"),
        replace(SPEC, working_dir="/proc/self/fd/8"),
        replace(SPEC, working_dir="//proc//self/fd/8"),
        replace(SPEC, working_dir="/a/../proc/1"),
        replace(SPEC, working_dir="here"),
        replace(SPEC, folders=("/app/../../x",)),
        replace(SPEC, mounts=(mount("/"),)),
        replace(SPEC, mounts=(mount("/sys/x"),)),
        replace(SPEC, mounts=(mount("data"),)),
        replace(SPEC, mounts=(mount("/a/../../b"),)),
        replace(SPEC, mounts=(mount("/a"), mount("/a/"))),
        replace(SPEC, mounts=(mount("/a"),), tmpfs={"/a": 5}),
        replace(SPEC, tmpfs={"/a": 0}),
    ],
)
def test_a_spec_that_no_container_can_be_made_of_is_refused(spec: RunSpec) -> None:
    with pytest.raises(EngineError):
        check_spec(spec)


def test_an_ordinary_spec_passes() -> None:
    check_spec(replace(SPEC, mounts=(mount("/data"),), tmpfs={"/scratch": 5}, working_dir="/processed"))


def test_a_parent_is_mounted_before_what_lies_in_it() -> None:
    spec = replace(SPEC, mounts=(mount("/a/b/c"), mount("/z"), mount("/a")), tmpfs={"/a/b": 5})
    assert [place.target for place in places_of(spec)] == ["/a", "/z", "/a/b", "/a/b/c"]


def test_a_read_only_root_has_one_writable_place_more() -> None:
    assert [place.target for place in places_of(replace(SPEC, read_only_root=True))] == ["/tmp"]
    own = replace(SPEC, read_only_root=True, mounts=(mount("/tmp"),))
    assert [place.source for place in places_of(own)] == ["/host"]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), 4 << 30),
        (Limits(memory_bytes=1 << 30), 512 << 20),
        (Limits(memory_bytes=64 << 30), 4 << 30),
        (Limits(shm_bytes=5, memory_bytes=1 << 30), 5),
    ],
)
def test_shared_memory_is_generous_within_the_memory_limit(limits: Limits, expected: int) -> None:
    assert shm_bytes_of(replace(SPEC, limits=limits), 16 << 30) == expected


def test_only_term_is_taken_from_the_caller_and_only_for_a_terminal() -> None:
    caller = {"TERM": "vt100", "HOME": "/root", "TOKEN": "x"}
    spec = replace(SPEC, env={"A": "1"}, secrets={"S": "2"})
    assert environment_of(spec, caller) == {"A": "1", "S": "2"}
    assert environment_of(replace(spec, terminal=True), caller) == {"A": "1", "S": "2", "TERM": "vt100"}
    assert environment_of(replace(spec, terminal=True, env={"TERM": "dumb"}), caller)["TERM"] == "dumb"


def test_the_hosts_names_are_seen_only_with_its_network() -> None:
    host = {"hosts": b"1.2.3.4 host", "resolv.conf": b"nameserver 1.2.3.4"}
    assert etc_files(replace(SPEC, network=True), host) == {
        "etc/hosts": host["hosts"],
        "etc/resolv.conf": host["resolv.conf"],
    }
    assert set(etc_files(SPEC, host)) == {"etc/hosts"}
    assert b"1.2.3.4" not in etc_files(SPEC, host)["etc/hosts"]


def test_a_layer_that_comes_twice_counts_where_it_is_uppermost() -> None:
    assert distinct_layers(("a", "b", "a", "c")) == ("c", "a", "b")


@pytest.mark.parametrize(("cpus", "count"), [(0.5, 1), (1.0, 1), (1.5, 2), (3.0, 3), (99.0, 4)])
def test_a_cpu_limit_is_rounded_up_to_whole_ones_of_those_allowed(cpus: float, count: int) -> None:
    for seed in range(5):
        chosen = choose_cpus(cpus, frozenset({2, 3, 5, 7}), seed)
        assert len(chosen) == count
        assert chosen <= {2, 3, 5, 7}
