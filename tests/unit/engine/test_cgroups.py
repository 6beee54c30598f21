"""Where a control group may be made is read from the host's own tables."""

from __future__ import annotations

from lading.engine.embedded.cgroups import Hierarchy, parse_hierarchies, wanted_settings
from lading.project.limits import Limits

HYBRID = """\
30 1 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 1 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 1 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
33 1 0:29 / /proc rw - proc proc rw
"""


def test_a_hybrid_host_has_both_versions() -> None:
    found = parse_hierarchies(HYBRID, "4:memory:/a/b\n3:cpu,cpuacct:/\n0::/user\n")
    assert found == (
        Hierarchy("/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/a/b", frozenset({"memory"})),
        Hierarchy("/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct", frozenset({"cpu", "cpuacct"})),
        Hierarchy("/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/user", frozenset()),
    )


def test_a_container_sees_its_own_part_as_the_whole() -> None:
    mountinfo = "9 1 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    (found,) = parse_hierarchies(mountinfo, "4:memory:/docker/abc\n")
    assert found.own == "/sys/fs/cgroup/memory"


def test_no_limit_wants_no_group() -> None:
    assert wanted_settings(Limits(timeout_seconds=5, shm_bytes=5)) == {}


def test_limits_in_the_words_of_both_versions() -> None:
    wanted = wanted_settings(Limits(cpus=1.5, memory_bytes=1000, pids=10))
    assert wanted["cpus"][2] == (("cpu.max", "150000 100000"),)
    assert wanted["cpus"][1][0] == ("cpu.cfs_quota_us", "150000")
    assert wanted["memory"][2][0] == ("memory.max", "1000")
    assert wanted["memory"][1][0] == ("memory.limit_in_bytes", "1000")
    assert wanted["pids"][2] == (("pids.max", "12"),)
