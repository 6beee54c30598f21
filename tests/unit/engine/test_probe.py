"""Why a better level is not available is told apart by the evidence (catalogue X12)."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lading.engine.embedded import EmbeddedEngine
from lading.engine.embedded.probe import Evidence, explain, may_chroot
from lading.engine.embedded.report import Failure
from lading.engine.model import Level
from lading.store import Store

USER = Evidence(euid=1000, seccomp="0", kernel="6.1.0")


def because(failure: Failure, **changes: object) -> tuple[str, str | None]:
    fields = {"euid": 1000, "seccomp": "0", "kernel": "6.1.0", **changes}
    return explain(failure, Evidence(**fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("failure", "evidence", "reason", "remedy"),
    [
        (Failure("unshare", errno.EPERM, "x"), {"seccomp": "2"}, "seccomp", "seccomp=unconfined"),
        (
            Failure("unshare", errno.EPERM, "x"),
            {"settings": {"userns_clone": "0"}, "seccomp": "2"},
            "kept for root",
            "unprivileged_userns_clone=1",
        ),
        (
            Failure("unshare", errno.ENOSPC, "x"),
            {"settings": {"max_user_namespaces": "0"}},
            "switched off",
            "max_user_namespaces",
        ),
        (
            Failure("unshare", errno.EPERM, "x"),
            {"settings": {"apparmor": "1"}},
            "AppArmor",
            "apparmor_restrict",
        ),
        (Failure("map", errno.EPERM, "x"), {"settings": {"apparmor": "1"}}, "AppArmor", "apparmor_restrict"),
        (
            Failure("private mounts", errno.EACCES, "x"),
            {"settings": {"apparmor": "1"}},
            "AppArmor",
            "apparmor_restrict",
        ),
        (Failure("proc", errno.EPERM, "x"), {}, "hides parts of /proc", "systempaths=unconfined"),
        (Failure("overlay", errno.ENODEV, "x"), {}, "no overlay", "modprobe overlay"),
        (Failure("overlay", errno.EPERM, "refused"), {}, "refused", "5.12"),
        (Failure("bind", errno.ENOSYS, "x"), {"kernel": "4.18.0"}, "4.18.0", "newer kernel"),
        (Failure("scratch", errno.EROFS, "read-only"), {}, "read-only", "LADING_HOME"),
    ],
)
def test_reason_and_remedy(failure: Failure, evidence: dict[str, object], reason: str, remedy: str) -> None:
    said = because(failure, **evidence)
    assert reason in said[0]
    assert said[1] is not None
    assert remedy in said[1]


def test_an_unknown_refusal_is_told_as_it_is() -> None:
    assert because(Failure("host name", errno.EPERM, "Operation not permitted")) == (
        "host name is refused (Operation not permitted)",
        None,
    )


def test_a_chroot_needs_root_with_the_right_capabilities() -> None:
    docker_default = 0x00000000A80425FB
    assert may_chroot(Evidence(euid=0, capabilities=docker_default))
    assert not may_chroot(Evidence(euid=0, capabilities=docker_default & ~(1 << 18)))
    assert not may_chroot(Evidence(euid=1000, capabilities=docker_default))


@pytest.mark.parametrize("level", list(Level))
def test_a_probe_never_raises_and_honours_a_lower_level(tmp_path: Path, level: Level) -> None:
    store = Store.open({"LADING_HOME": str(tmp_path)})
    probe = EmbeddedEngine(store, {"LADING_EMBEDDED_LEVEL": level.value}).probe()
    assert probe.usable
    assert probe.level is not None
    assert list(Level).index(probe.level) >= list(Level).index(level)
    assert probe.level is Level.NAMESPACES or probe.reason


def test_a_probe_of_an_unknown_level_is_unusable_with_the_known_ones_named(tmp_path: Path) -> None:
    store = Store.open({"LADING_HOME": str(tmp_path)})
    probe = EmbeddedEngine(store, {"LADING_EMBEDDED_LEVEL": "best"}).probe()
    assert not probe.usable
    assert "namespaces, chroot, process" in (probe.reason or "")


def test_a_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store.open({"LADING_HOME": str(tmp_path)})
    EmbeddedEngine(store, {}).probe()
    assert list((tmp_path / "scratch").iterdir()) == []
