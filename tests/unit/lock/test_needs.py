"""Which needs count: what importing may load, and what no wheel of the image has."""

from __future__ import annotations

from lading.lock.needs import Need, SharedObject, outside_needs


def item(path: str, *needed: str, soname: str | None = None) -> SharedObject:
    return SharedObject(path=path, soname=soname, needed=needed)


def sonames(**wheels: list[SharedObject]) -> list[str]:
    return [need.soname for need in outside_needs(wheels)]


def test_what_a_wheel_bundles_is_not_the_systems() -> None:
    """By file name or by soname, and the bundled library's own needs count."""
    assert sonames(
        demo=[
            item("demo/_core.cpython-311-x86_64-linux-gnu.so", "libfoo-12ab.so.3", "libbar.so.1"),
            item("demo.libs/libfoo-12ab.so.3", "libGL.so.1"),
            item("demo.libs/libbar-34cd.so.1.2", "libc.so.6", soname="libbar.so.1"),
        ]
    ) == ["libGL.so.1", "libc.so.6"]


def test_another_wheel_of_the_image_may_have_it() -> None:
    """torchvision loads torch's libraries: its own folder has none of them."""
    torch = item("torch/lib/libtorch.so", "libc.so.6", soname="libtorch.so")
    assert sonames(torchvision=[item("torchvision/_C.so", "libtorch.so")], torch=[torch]) == ["libc.so.6"]
    assert sonames(torchvision=[item("torchvision/_C.so", "libtorch.so")]) == ["libtorch.so"]


def test_plugins_ask_for_nothing_until_they_are_asked_for() -> None:
    """Qt's printing plugin wants CUPS; importing never opens it, nor what only plugins need."""
    assert sonames(
        demo=[
            item("demo/QtGui.abi3.so", "libQt6Gui.so.6"),
            item("demo/Qt/lib/libQt6Gui.so.6", "libGL.so.1"),
            item("demo/Qt/lib/libQt6XcbQpa.so.6", "libxcb-cursor.so.0"),
            item("demo/Qt/plugins/platforms/libqxcb.so", "libQt6XcbQpa.so.6"),
            item("demo/Qt/plugins/printsupport/libcups.so", "libcups.so.2"),
            item("demo/Qt/qml/QtQuick/libquick.so", "libQt6Gui.so.6", "libfbclient.so.2"),
        ]
    ) == ["libGL.so.1"]


def test_a_library_that_ctypes_opens_counts() -> None:
    assert sonames(lightgbm=[item("lightgbm/lib/lib_lightgbm.so", "libgomp.so.1")]) == ["libgomp.so.1"]


def test_libraries_that_need_each_other_are_walked_once() -> None:
    circle = [
        item("demo/_a.so", "libb.so"),
        item("demo/libb.so", "libc-own.so", "libX11.so.6"),
        item("demo/libc-own.so", "libb.so"),
    ]
    assert sonames(demo=circle) == ["libX11.so.6"]


def test_one_need_a_soname_and_wheel_says_the_first_file() -> None:
    """Whatever the order of the files: the lock must not depend on it."""
    objects = [item("demo/_b.abi3.so", "libGL.so.1"), item("demo/_a.abi3.so", "libGL.so.1")]
    expected = (Need(soname="libGL.so.1", wheel="demo", path="demo/_a.abi3.so"),)
    assert outside_needs({"demo": objects}) == outside_needs({"demo": objects[::-1]}) == expected
    assert str(expected[0]) == "demo needs libGL.so.1 (demo/_a.abi3.so)"
