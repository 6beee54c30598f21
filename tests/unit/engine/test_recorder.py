"""What is seen of a run: samples that span its life, counters that name the limit, the kernel's own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.engine.circumstances import Circumstances, EndedBy, GpuUse, Sample
from lading.engine.embedded.cgroups import ControlGroup, Hierarchy
from lading.engine.embedded.container_folder import status_as_json, status_from_json
from lading.engine.embedded.kernel_log import relevant_lines
from lading.engine.embedded.nvml import find_devices, open_nvml
from lading.engine.embedded.recorder import MOST_SAMPLES, SampleSeries, memory_hierarchy
from lading.engine.model import RunState, RunStatus
from lading.run.record import read_circumstances, read_log, write_circumstances
from lading.store import Store

FRACTIONS = st.none() | st.floats(0, 1)
COUNTS = st.integers(0, 2**40)
SAMPLES = st.builds(
    Sample,
    seconds=st.floats(0, 1e6),
    memory_bytes=COUNTS,
    cpus=st.floats(0, 128),
    waiting=st.integers(0, 9),
    gpu_percent=st.none() | st.floats(0, 100),
)
GPUS = st.builds(
    GpuUse,
    index=st.integers(0, 15),
    memory_bytes=COUNTS,
    peak_memory_bytes=COUNTS,
    mean_percent=st.floats(0, 100),
    slowed_by=st.lists(st.sampled_from(("heat", "power", "hardware")), unique=True).map(tuple),
)
SEEN = st.builds(
    Circumstances,
    ended_by=st.none() | st.sampled_from(EndedBy),
    oom_kills=COUNTS,
    own_limit_reached=st.booleans(),
    around_limit_reached=st.booleans(),
    around_limit_bytes=st.none() | COUNTS,
    host_oom_kills=COUNTS,
    least_free_memory_bytes=st.none() | COUNTS,
    processes_refused=COUNTS,
    throttled_share=FRACTIONS,
    io_pressure_share=FRACTIONS,
    memory_pressure_share=FRACTIONS,
    shm_bytes=st.none() | COUNTS,
    peak_shm_bytes=st.none() | COUNTS,
    least_free_disk_bytes=st.none() | COUNTS,
    kernel=st.lists(st.text()).map(tuple),
    samples=st.lists(SAMPLES, max_size=4).map(tuple),
    gpus=st.lists(GPUS, max_size=2).map(tuple),
)
OOM = (
    "6,1729,24050057461,-;oom-kill:constraint=CONSTRAINT_{constraint},nodemask=(null),"
    "task=python3,pid={pid},uid=0\n"
    " SUBSYSTEM=x\n"
)
CRASH = "6,1730,24050058000,-;python3[{pid}]: segfault at 0 ip 00007f59 sp 00007ffd error 4 in libc.so.6\n"


@given(SEEN)
def test_circumstances_survive_their_json(seen: Circumstances) -> None:
    assert Circumstances.from_json(json.loads(json.dumps(seen.as_json()))) == seen
    status = RunStatus(state=RunState.EXITED, exit_status=1, circumstances=seen)
    assert status_from_json(json.loads(json.dumps(status_as_json(status)))) == status


@given(st.integers(1, 2000))
def test_samples_are_few_and_span_the_whole_life(count: int) -> None:
    series = SampleSeries()
    for number in range(count):
        series.add(float(number), number, number * 2.0, 0, None)
    samples = series.samples()
    assert 0 < len(samples) <= MOST_SAMPLES
    moments = [sample.seconds for sample in samples]
    assert moments == sorted(set(moments))
    assert moments[-1] >= count * 0.9 - 1
    assert moments[0] <= count * 0.1
    # Two processors all the time, whatever was left out.
    assert all(sample.cpus == pytest.approx(2.0) for sample in samples[1:])


def test_the_kernels_words_about_others_are_not_taken() -> None:
    records = [
        OOM.format(constraint="MEMCG", pid=500),
        OOM.format(constraint="MEMCG", pid=77),
        OOM.format(constraint="NONE", pid=77),
        CRASH.format(pid=500),
        CRASH.format(pid=77),
        "6,1,24050059000,-;usb 1-1: new device\n",
        "4,1,24050059000,-;NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', GPU has fallen off the bus.\n",
    ]
    lines = relevant_lines(records, 24050.0, {500}, 400)
    assert [line.partition(" ")[0].partition(":")[0] for line in lines] == [
        "oom-kill",
        "oom-kill",
        "python3[500]",
        "NVRM",
    ]
    assert "pid=500" in lines[0]
    assert "CONSTRAINT_NONE" in lines[1]
    assert relevant_lines(records, 24060.0, {500}, 400) == ()
    assert relevant_lines(["", ";", "x,y;z", "6,1,abc,-;segfault at 0"], 0.0, {1}, 1) == ()


def group(folder: Path, version: int, **files: str) -> ControlGroup:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return ControlGroup(folders={"memory": folder, "cpus": folder, "pids": folder}, version=version)


def test_a_kill_at_a_limit_above_is_not_the_runs_own(tmp_path: Path) -> None:
    """The kernel counts the victim in its own group, and the limit that was met where it stands."""
    events = "low 0\nhigh 0\nmax 0\noom {oom}\noom_kill 1\noom_group_kill 0\n"
    none = events.format(oom=0)
    above = group(tmp_path, 2, memory__events=none, memory__events__local=none)
    assert above.oom_kills() == 1
    assert not above.out_of_memory()
    (tmp_path / "memory.events.local").write_text(events.format(oom=2))
    assert above.out_of_memory()
    (tmp_path / "memory.events.local").unlink()  # before kernel 5.2
    assert above.out_of_memory()


@pytest.mark.parametrize(("peak", "own"), [(119_998_000, True), (40_000_000, False)])
def test_version_1_knows_its_limit_by_the_peak(tmp_path: Path, peak: int, own: bool) -> None:
    one = group(
        tmp_path,
        1,
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        memory__limit_in_bytes="120000000\n",
        memory__max_usage_in_bytes=f"{peak}\n",
    )
    assert one.out_of_memory() is own


def test_throttling_and_refused_processes_are_counted(tmp_path: Path) -> None:
    seen = group(
        tmp_path, 2, cpu__stat="usage_usec 9\nnr_periods 200\nnr_throttled 150\n", pids__events="max 3\n"
    )
    assert (seen.throttled_share(), seen.processes_refused()) == (0.75, 3)
    assert ControlGroup().throttled_share() is None


def test_memory_is_counted_where_the_hierarchy_says(tmp_path: Path) -> None:
    split = Hierarchy("/m", "/m/job", frozenset({"memory"}))
    other = Hierarchy("/c", "/c/job", frozenset({"cpu"}))
    assert memory_hierarchy((other, split)) == (Path("/m/job"), False)
    (tmp_path / "memory.events").touch()
    unified = Hierarchy(str(tmp_path), str(tmp_path), frozenset())
    assert memory_hierarchy((other, unified)) == (tmp_path, True)
    assert memory_hierarchy((other,)) == (None, False)


class Driver:
    """The driver's library for two GPUs, the second on the bus having the first device file; full and hot."""

    minors = (1, 0)

    def nvmlInit_v2(self) -> int:  # noqa: N802 the library's own name
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, number: int, handle: Any) -> int:  # noqa: N802
        handle._obj.value = 0x1000 + number
        return 0

    def nvmlDeviceGetMinorNumber(self, handle: Any, minor: Any) -> int:  # noqa: N802
        minor._obj.value = self.minors[handle.value - 0x1000]
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:  # noqa: N802
        memory._obj.total, memory._obj.used = 80 << 30, 79 << 30
        return 0

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Any, reasons: Any) -> int:  # noqa: N802
        reasons._obj.value = 0x40 if handle.value == 0x1001 else 0
        return 0

    def nvmlDeviceGetUtilizationRates(self, handle: Any, use: Any) -> int:  # noqa: N802
        use._obj.gpu = 90 if handle.value == 0x1001 else 30
        return 0


def test_a_gpu_is_known_by_its_device_file() -> None:
    """NVML numbers by bus: its second GPU may be /dev/nvidia0."""
    nvml = find_devices(Driver(), {0})
    assert nvml is not None
    assert [nvml.look(), nvml.look()] == [90.0, 90.0]
    (use,) = nvml.uses()
    assert use == GpuUse(
        index=0, memory_bytes=80 << 30, peak_memory_bytes=79 << 30, mean_percent=90.0, slowed_by=("heat",)
    )
    both = find_devices(Driver(), {0, 1})
    assert both is not None
    assert both.look() == 60.0
    assert find_devices(Driver(), {7}) is None


def test_a_host_without_the_drivers_library_tells_nothing_of_gpus() -> None:
    assert open_nvml(("/dev/nvidia0",), "libnothere-ml.so.1") is None
    assert open_nvml(("/dev/nvidia0",), "libc.so.6") is None


def test_what_is_kept_of_a_run_lies_beside_its_log(tmp_path: Path) -> None:
    store = Store.open({"LADING_HOME": str(tmp_path)})
    folder = store.root / "runs/7f3a"
    folder.mkdir(parents=True)
    assert read_circumstances(store, "7f3a") is None
    assert read_log(store, "7f3a", head_bytes=1, tail_bytes=1).size_bytes == 0
    write_circumstances(store, "7f3a", Circumstances(oom_kills=2))
    assert read_circumstances(store, "7f3a") == Circumstances(oom_kills=2)
    (folder / "circumstances.json").write_text('{"unknown": 1}')
    assert read_circumstances(store, "7f3a") is None
    (folder / "log").write_bytes(b"0123456789")
    log = read_log(store, "7f3a", head_bytes=2, tail_bytes=3)
    assert (log.head, log.tail, log.left_out_bytes) == (b"01", b"789", 5)
    whole = read_log(store, "7f3a", head_bytes=5, tail_bytes=5)
    assert (whole.head + whole.tail, whole.left_out_bytes) == (b"0123456789", 0)
