"""Evidence is read as the kernel, nvidia-smi and Docker write it, and rubbish is no evidence."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.gpu_cases import SPECIFICATION
from doctor.hosts import FakeHost, answer_smi, gpu_host, plain_host, report, topology
from doctor.libraries import library
from lading.inspect.doctor.cause import HOST_AREAS, diagnose
from lading.inspect.doctor.cuda_init import chosen_library, cuda_status
from lading.inspect.doctor.gather.fabric import parse_processors
from lading.inspect.doctor.gather.network import read_proxy
from lading.inspect.doctor.gather.registry import expiry_of
from lading.inspect.doctor.gather.storage import mount_of, parse_mounts
from lading.inspect.doctor.gather.whole import gather_host
from lading.inspect.doctor.machine import Machine, connect, measure_space
from lading.inspect.doctor.smi import parse_report, parse_topology
from lading.registry.credentials import Credential
from nvidia_host import uuid


@given(st.sets(st.integers(0, 4096), max_size=40))
def test_a_list_of_processors_is_read_as_the_kernel_writes_it(numbers: set[int]) -> None:
    assert parse_processors(",".join(map(str, sorted(numbers)))) == numbers


def test_ranges_of_processors_are_whole() -> None:
    assert parse_processors("0-3,8\n") == {0, 1, 2, 3, 8}
    assert parse_processors("") == frozenset()


@given(st.text(max_size=60))
def test_rubbish_is_no_evidence(text: str) -> None:
    assert all(number >= 0 for number in parse_processors(text))
    assert parse_report(text) == ()
    assert parse_report("<nvidia_smi_log>" + text) in ((), parse_report("<nvidia_smi_log></nvidia_smi_log>"))
    parse_topology(text)
    parse_mounts(text)
    expiry_of(Credential(password=text, identity_token=text))
    shown = read_proxy("HTTPS_PROXY", text or "x").shown
    assert "//" in shown


@given(st.text("abc:/@#%", max_size=12), st.text("xyz:/@#%", max_size=12))
def test_no_password_of_a_proxy_is_shown(user: str, password: str) -> None:
    proxy = read_proxy("HTTPS_PROXY", f"http://{user}:{password}@proxy.example:3128")
    assert proxy.shown == "http://proxy.example:3128"


def test_the_innermost_and_latest_mount_holds_a_path() -> None:
    mounts = parse_mounts(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 0:5 / /home rw - nfs4 files:/home rw,vers=4\n"
        "3 1 0:6 / /home rw - nfs4 other:/home rw\n"
        "4 1 0:7 / /home/with\\040blank rw,noexec - tmpfs none rw\n"
        "a line that is none\n"
    )
    held = [mount_of(path, mounts) for path in ("/homes", "/home/ada", "/home/with blank/x")]
    assert [(one.target, one.source) for one in held if one] == [
        ("/", "/dev/sda1"),
        ("/home", "other:/home"),
        ("/home/with blank", "none"),
    ]
    assert mount_of("/x", ()) is None


def test_a_report_of_nvidia_smi_is_read_across_releases_of_the_driver() -> None:
    new = report({"slow": "hw_thermal_slowdown", "temperature": "91 C", "lanes": "8", "mig": "N/A"}, {})
    old = new.replace("clocks_event_reason", "clocks_throttle_reason")
    for text in (new, old, "a warning before it\n" + new):
        first, second = parse_report(text)
        assert first.slowdowns == {"hw_thermal_slowdown"}
        assert (first.number, first.address, first.temperature) == (0, "00000000:00:00.0", "91 C")
        assert (first.width, first.widest, first.mig, second.mig) == (8, 16, "", "Disabled")
    assert parse_report(new[: len(new) // 2]) == ()


def test_the_matrix_of_connections_names_each_pair_once() -> None:
    assert parse_topology(topology("SYS")) == {("GPU0", "GPU1"): "SYS"}
    network = "\tGPU0\tNIC0\tCPU Affinity\nGPU0\t X \tPIX\t0-7\nNIC0\tPIX\t X \t\n"
    assert parse_topology(network) == {}


def test_a_specification_in_yaml_is_read_as_one_in_json(tmp_path: Path) -> None:
    import yaml

    host = gpu_host(tmp_path)
    host.write("etc/cdi/a.json", json.dumps(SPECIFICATION))
    host.write("etc/cdi/b.yaml", yaml.safe_dump(SPECIFICATION))
    host.write("etc/cdi/notes.txt", "no specification")
    first, second = host.gather().toolkit.specifications
    assert (first.kind, first.devices, first.versions, first.missing) == (
        *(second.kind, second.devices, second.versions),
        (),
    )
    assert first.versions == ("580.65.06",)


def test_a_token_says_when_it_ends() -> None:
    assert expiry_of(Credential(password="hunter2hunter2hunter2")) is None
    assert expiry_of(Credential(identity_token="a.eyJleHAiOjE3MDAwMDAwMDB9.b")) == datetime.fromtimestamp(
        1700000000, UTC
    )


@pytest.mark.parametrize("status", [0, 34, 803, 999])
def test_cuda_is_asked_in_a_child(tmp_path: Path, status: int) -> None:
    path = tmp_path / "libcuda.so.1"
    path.write_bytes(library("cuInit", status))
    assert cuda_status(str(path), {}) == status


def test_a_library_that_cannot_answer_gives_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "libcuda.so.1"
    path.write_bytes(library("cuQuit", 0))
    assert cuda_status(str(path), {}) is None
    path.write_bytes(b"\x7fELF\x02 and then nothing")
    assert cuda_status(str(path), {}) is None
    assert cuda_status(str(tmp_path / "none"), {}) is None


def test_cuda_is_asked_through_the_library_that_programs_get(tmp_path: Path) -> None:
    stub = tmp_path / "stubs/libcuda.so.1"
    stub.parent.mkdir()
    stub.write_bytes(library("cuInit", 34))
    environment = {"LD_LIBRARY_PATH": f":/nowhere:{stub.parent}"}
    assert chosen_library("/lib/libcuda.so.1", environment) == str(stub)
    assert cuda_status("/lib/libcuda.so.1", environment) == 34


def test_cuda_is_not_asked_where_a_device_file_would_have_to_be_made(tmp_path: Path) -> None:
    host = gpu_host(tmp_path)
    host.cuda = 100
    (tmp_path / "dev/nvidia-uvm").unlink()
    assert host.gather().gpus.cuda_status is None


def test_nvidia_smi_and_the_drivers_files_tell_of_the_same_gpus(tmp_path: Path) -> None:
    host = gpu_host(tmp_path, 2)
    answer_smi(host, report({}, {"errors": "2"}), topology=topology(), count=2)
    found = host.gather().gpus
    assert [gpu.uuid for gpu in found.driver.gpus] == [uuid(0), uuid(1)]
    assert [gpu.uncorrectable for gpu in found.smi] == [0, 2]
    assert found.links == {("GPU0", "GPU1"): "NV4"}
    assert found.library_version == "580.65.06"


def test_a_place_that_takes_no_connection_is_told_with_the_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert connect("127.0.0.1", port) is None
    assert connect("127.0.0.1", port) == "Connection refused"


def test_nothing_is_left_or_made(tmp_path: Path) -> None:
    """On this very host, with a store that is not there."""
    home = tmp_path / "home"
    home.mkdir()
    machine = Machine(environment={"HOME": str(home), "PATH": os.defpath}, folder=home, now=datetime.now(UTC))
    gather_host(machine)
    assert list(home.iterdir()) == []


def test_an_empty_root_is_judged_without_a_failure(tmp_path: Path) -> None:
    """Nothing can be read: a sandbox without /proc."""
    machine = Machine(
        root=tmp_path / "nothing",
        environment={"PATH": "/nothing"},
        folder=tmp_path,
        now=datetime.now(UTC),
        trial=lambda folder: None,
        connect=lambda host, port: None,
    )
    found = {finding.cause for finding in diagnose(HOST_AREAS, gather_host(machine))}
    assert found == {"home-unset", "shared-memory-missing", "mirror-unknown"}


def test_space_of_what_is_not_there_is_unknown(tmp_path: Path) -> None:
    assert measure_space(tmp_path / "none") is None
    assert measure_space(tmp_path) is not None


def test_rubbish_in_files_is_no_failure(tmp_path: Path) -> None:
    host: FakeHost = plain_host(tmp_path)
    machine = host.machine()
    for path in sorted(tmp_path.rglob("*")):
        if path.is_file() and "bin" not in path.parts:
            path.write_bytes(b"\xff\0 : ,\n- - -\n{")
    diagnose(HOST_AREAS, gather_host(machine))
