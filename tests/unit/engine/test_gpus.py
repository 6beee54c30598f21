"""GPUs are given to a request alone, from what the host has; a refusal says what it has instead."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.engine.driver_needs import describe_driver, refuse_old_driver, too_old_gpus
from lading.engine.embedded.plan import environment_of
from lading.engine.gpus import choose_gpus, gpu_environment
from lading.engine.model import ImageLayer, RunSpec
from lading.engine.nvidia import Gpu, HostGpus, driver_version, find_gpus, parse_answer, parse_linker_cache
from lading.errors import EngineError
from lading.lock.cuda import cuda_facts
from lading.lock.model import LockedCuda
from lading.oci.digest import DiffId, Digest
from lading.project.model import GpuRequest
from nvidia_host import LIBRARIES, linker_cache, make_host, uuid

CUDA13 = LockedCuda(version="13.0", driver="580", full_driver="580.65.06")


def test_a_host_is_known_by_its_drivers_own_files(tmp_path: Path) -> None:
    host = find_gpus(make_host(tmp_path, memory_mib=(81559, 24564)))
    assert host.driver == "535.104.05"
    assert [(gpu.index, gpu.uuid, gpu.capability) for gpu in host.gpus] == [
        (0, uuid(0), "9.0"),
        (1, uuid(1), "9.0"),
    ]
    assert [gpu.memory_bytes for gpu in host.gpus] == [81559 << 20, 24564 << 20]
    assert set(host.devices or {}) == {"nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1"}
    assert set(host.libraries or {}) == set(LIBRARIES)
    assert (host.libraries or {})["libcuda.so.1"].endswith("opt/driver/lib/libcuda.so.535.104.05")
    assert set(host.programs or {}) == {"nvidia-smi"}


def test_without_a_driver_there_is_nothing(tmp_path: Path) -> None:
    assert find_gpus(tmp_path) == HostGpus()
    assert driver_version(tmp_path) is None


def test_a_folder_that_the_linkers_cache_does_not_know_is_looked_through(tmp_path: Path) -> None:
    host = find_gpus(make_host(tmp_path, cached=False, folder="usr/lib/x86_64-linux-gnu"))
    assert "libcuda.so.1" in (host.libraries or {})


def test_a_32_bit_library_of_the_same_name_is_passed_over(tmp_path: Path) -> None:
    root = make_host(tmp_path, folder="usr/lib/x86_64-linux-gnu")
    (root / "usr/lib/i386").mkdir()
    (root / "usr/lib/i386/libcuda.so.1").write_bytes(b"\x7fELF\x01" + b"\0" * 60)
    (root / "etc/ld.so.cache").write_bytes(linker_cache({"libcuda.so.1": "/usr/lib/i386/libcuda.so.1"}))
    found = (find_gpus(root).libraries or {})["libcuda.so.1"]
    assert "x86_64" in found


def test_without_nvidia_smi_the_drivers_files_still_count_the_gpus(tmp_path: Path) -> None:
    host = find_gpus(make_host(tmp_path, smi=False))
    assert [(gpu.uuid, gpu.memory_bytes) for gpu in host.gpus] == [(uuid(0), None)]
    assert choose_gpus(GpuRequest(count=1), host, {})
    with pytest.raises(EngineError, match="whose memory nobody tells"):
        choose_gpus(GpuRequest(count=1, memory_bytes=1 << 30), host, {})


@given(st.binary(max_size=200))
def test_a_damaged_linker_cache_is_no_failure(rubbish: bytes) -> None:
    whole = linker_cache({"libcuda.so.1": "/usr/lib/libcuda.so.1"})
    assert parse_linker_cache(whole) == {"libcuda.so.1": ("/usr/lib/libcuda.so.1",)}
    parse_linker_cache(rubbish)
    parse_linker_cache(whole[:20] + rubbish)
    parse_linker_cache(whole[: len(whole) // 2])
    parse_linker_cache(whole[:20] + struct.pack("<I", 2**31) + whole[24:])


@given(st.text(max_size=80))
def test_what_nvidia_smi_never_printed_is_no_gpu(text: str) -> None:
    for gpu in parse_answer(text).values():
        assert gpu.index >= 0


def test_a_field_that_a_gpu_does_not_have_is_unknown() -> None:
    gpu = parse_answer("0, GPU-x, [N/A], [N/A], 12.1, NVIDIA GB10\n")["GPU-x"]
    assert (gpu.memory_bytes, gpu.used_bytes, gpu.capability) == (None, None, "12.1")


def test_the_least_used_gpus_that_fit_are_given(tmp_path: Path) -> None:
    host = find_gpus(make_host(tmp_path, memory_mib=(81559, 81559, 24564), used_mib=(70000, 4, 4)))
    assert [gpu.index for gpu in choose_gpus(GpuRequest(count=1), host, {})] == [1]
    assert [gpu.index for gpu in choose_gpus(GpuRequest(count=3), host, {})] == [0, 1, 2]
    large = GpuRequest(count=2, memory_bytes=40_000_000_000)
    assert [gpu.index for gpu in choose_gpus(large, host, {})] == [0, 1]
    with pytest.raises(EngineError, match=r"3 GPUs of 40 GB were asked .* has 3: .*\(26 GB\)"):
        choose_gpus(GpuRequest(count=3, memory_bytes=40_000_000_000), host, {})


def test_a_batch_systems_choice_is_kept(tmp_path: Path) -> None:
    host = find_gpus(make_host(tmp_path, memory_mib=(81559, 81559)))
    by_index = choose_gpus(GpuRequest(count=1), host, {"CUDA_VISIBLE_DEVICES": "1"})
    by_uuid = choose_gpus(GpuRequest(count=1), host, {"CUDA_VISIBLE_DEVICES": uuid(1)})
    assert [gpu.index for gpu in (*by_index, *by_uuid)] == [1, 1]
    with pytest.raises(EngineError, match="none that this process may use"):
        choose_gpus(GpuRequest(count=1), host, {"CUDA_VISIBLE_DEVICES": ""})
    with pytest.raises(EngineError, match="2 GPUs were asked for, and this host has 1") as caught:
        choose_gpus(GpuRequest(count=2), host, {"CUDA_VISIBLE_DEVICES": "0"})
    assert "unset CUDA_VISIBLE_DEVICES" in caught.value.hints[0]


def test_what_is_missing_is_said_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"1 GPU was asked for, .* has no NVIDIA driver") as caught:
        choose_gpus(GpuRequest(count=1), HostGpus(), {})
    assert "remove `gpus`" in caught.value.hints[-1]
    root = make_host(tmp_path)
    (root / "opt/driver/lib/libcuda.so.1").unlink()
    with pytest.raises(EngineError, match=r"libcuda\.so\.1 is nowhere to be found"):
        choose_gpus(GpuRequest(count=1), find_gpus(root), {})


def test_a_container_is_told_of_its_gpus_by_uuid(tmp_path: Path) -> None:
    host = find_gpus(make_host(tmp_path, memory_mib=(81559, 81559)))
    told = gpu_environment(choose_gpus(GpuRequest(count=1), host, {"CUDA_VISIBLE_DEVICES": "1"}))
    assert told == {"NVIDIA_VISIBLE_DEVICES": uuid(1), "CUDA_VISIBLE_DEVICES": uuid(1)}


@pytest.mark.catalogue("X15")
def test_x15_an_image_that_asks_for_all_gpus_gets_none_without_a_request() -> None:
    layer = ImageLayer(digest=Digest.of(b"a"), diff_id=DiffId.of(b"b"), size_bytes=1)
    spec = RunSpec(
        run_id="r", layers=(layer,), command=("true",), env={"NVIDIA_VISIBLE_DEVICES": "all", "A": "1"}
    )
    assert environment_of(spec, {}) == {
        "A": "1",
        "NVIDIA_VISIBLE_DEVICES": "void",
        "CUDA_VISIBLE_DEVICES": "",
    }
    plain = RunSpec(run_id="r", layers=(layer,), command=("true",), env={"A": "1"})
    assert environment_of(plain, {}) == {"A": "1"}


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        (None, "driver ≥ 580  (this host: none)"),
        ("535.104.05", "driver ≥ 580  (this host: 535 — too old)"),
        ("580.10.01", "driver ≥ 580  (this host: 580 ok; all features from 580.65.06)"),
        ("580.65.06", "driver ≥ 580  (this host: 580 ok)"),
        ("610.3", "driver ≥ 580  (this host: 610 ok)"),
    ],
)
def test_the_driver_is_judged_by_the_floor_of_cudas_major_version(driver: str | None, said: str) -> None:
    assert describe_driver(CUDA13, driver) == said


def test_a_driver_that_is_too_old_is_refused_with_what_it_could_run() -> None:
    with pytest.raises(EngineError, match=r"needs driver 580 or later; this host has 535\.104\.05") as caught:
        refuse_old_driver(CUDA13, "535.104.05", cuda_facts())
    said = " ".join(caught.value.hints)
    assert 'accelerator = "cu128"' in said
    assert "torch<=2.10.0" in said
    assert "--accelerator cpu" in said
    refuse_old_driver(CUDA13, "580.65.06", cuda_facts())
    refuse_old_driver(CUDA13, None, cuda_facts())
    refuse_old_driver(None, "1.0", cuda_facts())


def test_a_gpu_older_than_all_that_the_wheels_have_code_for_is_said() -> None:
    cuda = LockedCuda(version="13.0", driver="580", capabilities=("7.5", "8.0", "10.0"))
    volta, turing, newer, unknown = (
        Gpu(index=index, device="", name="x", capability=capability)
        for index, capability in enumerate(("7.0", "7.5", "12.1", None))
    )
    (said,) = too_old_gpus(cuda, (volta, turing, newer, unknown))
    assert "GPU 0 (x) has compute capability 7.0" in said
    assert "7.5 and later" in said
    assert too_old_gpus(LockedCuda(version="13.2", driver="580"), (volta,)) == ()
