"""A target's tags and markers are its own, whatever machine asks."""

from __future__ import annotations

import pytest
from packaging.markers import Marker
from packaging.tags import parse_tag

from lading.lock.target import image_environment, target_environment
from lading.oci.platform import Platform

AMD64 = Platform.parse("linux/amd64")
ARM64 = Platform.parse("linux/arm64")


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("cp311-cp311-manylinux_2_36_x86_64", True),
        ("cp311-cp311-manylinux_2_37_x86_64", False),
        ("cp311-cp311-manylinux2014_x86_64", True),
        ("cp311-cp311-manylinux1_x86_64", True),
        ("cp311-cp311-linux_x86_64", True),
        ("cp38-abi3-manylinux_2_17_x86_64", True),
        ("cp312-abi3-manylinux_2_17_x86_64", False),
        ("cp311-cp311t-manylinux_2_17_x86_64", False),
        ("cp311-cp311-musllinux_1_2_x86_64", False),
        ("cp311-cp311-manylinux_2_17_aarch64", False),
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("py311-none-manylinux_2_17_x86_64", True),
        ("py2-none-any", False),
        ("cp311-cp311-macosx_11_0_x86_64", False),
    ],
)
def test_bookworms_python_takes_these_wheels(tag: str, fits: bool) -> None:
    tags = set(target_environment("debian:bookworm", "3.11.2", AMD64).tags())
    assert bool(parse_tag(tag) & tags) == fits


def test_arm_takes_arms_wheels() -> None:
    tags = set(target_environment("debian:trixie", "3.13", ARM64).tags())
    assert parse_tag("cp313-cp313-manylinux_2_40_aarch64") <= tags
    assert not parse_tag("cp313-cp313-manylinux_2_28_x86_64") & tags


def test_a_base_image_says_its_own_glibc() -> None:
    assert image_environment(31, "3.12", AMD64).uv_platform == "x86_64-manylinux_2_31"


def test_a_newer_glibc_than_uv_knows_counts_as_the_newest_it_knows() -> None:
    assert image_environment(99, "3.12", AMD64).uv_platform == "x86_64-manylinux_2_40"


@pytest.mark.parametrize(
    ("marker", "holds"),
    [
        ("sys_platform == 'linux' and platform_system == 'Linux' and os_name == 'posix'", True),
        ("platform_machine == 'aarch64'", True),
        ("python_version == '3.13' and python_full_version == '3.13.5'", True),
        ("implementation_name == 'cpython' and platform_python_implementation == 'CPython'", True),
        ("platform_release != '' or platform_version != ''", False),
    ],
)
def test_markers_say_what_is_true_in_the_image(marker: str, holds: bool) -> None:
    environment = target_environment("debian:trixie", "3.13.5", ARM64).markers()
    assert Marker(marker).evaluate(dict(environment)) == holds
