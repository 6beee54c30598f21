"""Which Debian packages are added for what wheels need: from the signed index of contents, by fixed rules."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian_mirror import Mirror, SigningKey
from hypothesis import given
from hypothesis import strategies as st

from lading.errors import DigestMismatch, ResolutionFailed
from lading.lock.added import Additions, TargetNeeds, find_additions
from lading.lock.debian import Suites, read_suites
from lading.lock.debian.base import base_packages
from lading.lock.debian.contents import LibraryIndex, Shipped, best_candidates, reduce_contents
from lading.lock.model import AddedPackage, LockedWheel
from lading.lock.needs import SharedObject
from lading.lock.packages import resolve_debian
from lading.project.load import load_project
from lading.store import Store

CONTENTS = b"""\
lib/x86_64-linux-gnu/libold.so.1                        libs/libold1
usr/include/foo.h                                       libdevel/libfoo-dev
usr/lib/aarch64-linux-gnu/libarm.so.1                   libs/libarm1
usr/lib/x86_64-linux-gnu/libfoo.so                      libdevel/libfoo-dev
usr/lib/x86_64-linux-gnu/libfoo.so.2                    libs/libfoo2
usr/lib/x86_64-linux-gnu/libjack.so.0                   libs/libjack-jackd2-0,libs/libjack0
usr/lib/x86_64-linux-gnu/libsame.so.1                   libs/libsame-b,libs/libsame-a
usr/lib/x86_64-linux-gnu/pipewire-0.3/jack/libjack.so.0 sound/pipewire-jack
usr/lib/x86_64-linux-gnu/libtool.so.1                   utils/tool,libs/libtool1,contrib/libs/atool
usr/lib/x86_64-linux-gnu/libgone.so.1                   libs/libgone1
"""


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKey]:
    key = SigningKey(tmp_path_factory.mktemp("key") / "home")
    yield key
    key.close()


class World:
    """A signed mirror whose packages ship what CONTENTS says."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self.mirror = Mirror(folder / "mirror", key)
        self.environment = {
            "LADING_HOME": str(folder / "store"),
            "LADING_DEBIAN_MIRROR": str(folder / "mirror"),
            "LADING_DEBIAN_KEYRING": str(key.keyring),
            "PATH": "/usr/bin:/bin",
        }
        self.store = Store.open(self.environment)
        for name in ("libfoo2", "libjack0", "libold1", "libsame-a", "libsame-b", "tool", "libtool1", "atool"):
            self.mirror.add(name)
        self.mirror.add("libjack-jackd2-0", Depends="libfoo2")
        self.mirror.add("libgl1")
        self.mirror.write(contents=CONTENTS)
        self.mirror.write("bookworm-updates", text=b"")

    def suites(self) -> Suites:
        return read_suites(
            suite="bookworm", architecture="amd64", store=self.store, environment=self.environment
        )

    def additions(self, *needed: str, held: frozenset[str] = frozenset({"libc6"})) -> Additions:
        return find_additions(
            [TargetNeeds(name="train", wheels=(wheel("demo"),), packages=held)],
            self.suites(),
            lambda _: {wheel("demo").sha256: objects(*needed)},
        )


def wheel(name: str, tag: str = "cp311-cp311-manylinux_2_28_x86_64") -> LockedWheel:
    filename = f"{name}-1-{tag}.whl"
    return LockedWheel(name=name, version="1", filename=filename, sha256=f"{name:0<64}", size_bytes=1)


def objects(*needed: str) -> tuple[SharedObject, ...]:
    return (SharedObject(path="demo/_core.abi3.so", soname=None, needed=needed),)


@pytest.fixture
def world(tmp_path: Path, key: SigningKey) -> World:
    return World(tmp_path, key)


def names(additions: Additions) -> list[str]:
    return [one.name for one in additions.added]


def test_a_missing_library_brings_its_package_and_says_why(world: World) -> None:
    (added,) = world.additions("libfoo.so.2", "libc.so.6").added
    assert (added.name, added.targets) == ("libfoo2", ("train",))
    assert added.because == "demo needs libfoo.so.2 (demo/_core.abi3.so)"


def test_what_every_image_has_costs_no_index(world: World) -> None:
    """glibc, libstdc++ and libgomp are asked of no mirror, nor what the table of common ones knows."""
    (world.mirror.root / "dists/bookworm/main/Contents-amd64.gz").unlink()
    assert world.additions("libc.so.6", "libm.so.6").added == ()
    assert names(world.additions("libGL.so.1")) == ["libgl1"]
    assert world.additions("libGL.so.1").warnings == ()


def test_a_base_without_glibcs_package_is_no_exception(world: World) -> None:
    additions = world.additions("libc.so.6", held=frozenset())
    assert additions.added == ()
    assert "demo needs libc.so.6 (demo/_core.abi3.so), and no Debian package" in additions.warnings[0]


def test_a_library_that_the_target_holds_is_not_added(world: World) -> None:
    assert world.additions("libjack.so.0", held=frozenset({"libc6", "libjack0"})).added == ()


def test_a_true_tie_goes_to_the_smaller_closure_then_the_name(world: World) -> None:
    assert names(world.additions("libjack.so.0")) == ["libjack0"]
    assert names(world.additions("libsame.so.1")) == ["libsame-a"]


def test_what_comes_anyway_is_taken_where_it_fits(world: World) -> None:
    """One package decides before several could: the order of needs does not matter."""
    assert names(world.additions("libjack.so.0", "libsame.so.1", "libfoo.so.2")) == [
        "libfoo2",
        "libjack0",
        "libsame-a",
    ]


def test_libraries_come_from_library_packages(world: World) -> None:
    assert names(world.additions("libtool.so.1")) == ["libtool1"]


def test_what_no_package_ships_is_a_warning_with_file_and_soname(world: World) -> None:
    """A need that cannot be met does not stop a lock; a package that only the index knows counts as none."""
    additions = world.additions("libnowhere.so.9", "libgone.so.1", "libarm.so.1", "libfoo.so")
    assert additions.added == ()
    assert len(additions.warnings) == 4
    assert any("demo needs libnowhere.so.9 (demo/_core.abi3.so)" in text for text in additions.warnings)


def test_the_drivers_libraries_are_nobodys_fault(world: World) -> None:
    assert world.additions("libcuda.so.1", "libnvidia-ml.so.1") == Additions(added=(), warnings=())


def test_an_index_that_is_not_the_signed_one_is_not_believed(world: World) -> None:
    path = world.mirror.root / "dists/bookworm/main/Contents-amd64.gz"
    path.write_bytes(gzip.compress(CONTENTS.replace(b"libfoo2", b"libevil")))
    additions = world.additions("libfoo.so.2")
    assert additions.added == ()
    assert "does not hold the index of contents that its signed Release names" in additions.warnings[0]


def test_a_mirror_without_contents_is_a_warning(world: World) -> None:
    world.mirror.write()
    assert "the mirror has no index of contents" in world.additions("libfoo.so.2").warnings[0]


def test_the_index_is_fetched_once(world: World) -> None:
    assert names(world.additions("libfoo.so.2")) == ["libfoo2"]
    (world.mirror.root / "dists/bookworm/main/Contents-amd64.gz").unlink()
    assert names(world.additions("libfoo.so.2")) == ["libfoo2"]


def test_what_code_opens_by_name_is_known_from_the_table(world: World) -> None:
    """Only where the wheel does not bring it: soundfile's wheel for Linux has libsndfile inside."""
    world.mirror.add("libsndfile1")
    world.mirror.write(contents=CONTENTS)

    def added(tag: str) -> list[str]:
        target = TargetNeeds(name="train", wheels=(wheel("soundfile", tag),), packages=frozenset({"libc6"}))
        return names(find_additions([target], world.suites(), None))

    assert added("py2.py3-none-any") == ["libsndfile1"]
    assert added("py2.py3-none-manylinux_2_28_x86_64") == []


def test_each_target_gets_what_its_own_wheels_need(world: World) -> None:
    """A serve target without the wheel stays as small as it was; one reason is kept for both others."""
    held = frozenset({"libc6"})
    targets = [
        TargetNeeds(name="dev", wheels=(wheel("demo"),), packages=held),
        TargetNeeds(name="serve", wheels=(wheel("other"),), packages=held),
        TargetNeeds(name="train", wheels=(wheel("demo"), wheel("other")), packages=held),
    ]
    needs = {wheel("demo").sha256: objects("libfoo.so.2"), wheel("other").sha256: objects("libm.so.6")}
    additions = find_additions(targets, world.suites(), lambda _: needs)
    assert [(one.name, one.targets) for one in additions.added] == [("libfoo2", ("dev", "train"))]
    assert additions.by_target() == {"dev": ("libfoo2",), "train": ("libfoo2",)}


def test_what_was_decided_elsewhere_is_added_to_its_targets(world: World) -> None:
    """The mechanism for compilers and the like: a package, and why; a target left out gets nothing."""
    target = TargetNeeds(name="train", wheels=(wheel("demo"),), packages=frozenset())
    decided = [
        AddedPackage(name="tool", because="demo compiles", targets=("dev", "train")),
        AddedPackage(name="atool", because="demo compiles", targets=("dev",)),
    ]
    additions = find_additions([target], world.suites(), None, decided)
    assert additions.added == (AddedPackage(name="tool", because="demo compiles", targets=("train",)),)


def test_only_the_linkers_folders_count() -> None:
    reduced = reduce_contents(gzip.compress(CONTENTS), "amd64", name="Contents-amd64.gz")
    index = LibraryIndex(reduced)
    assert index.shipping("libold.so.1") == (Shipped(package="libold1", section="libs"),)
    assert [one.package for one in index.shipping("libjack.so.0")] == ["libjack-jackd2-0", "libjack0"]
    assert index.shipping("libfoo.so") == index.shipping("libarm.so.1") == ()
    assert LibraryIndex(reduce_contents(gzip.compress(CONTENTS), "arm64", name="x")).shipping("libarm.so.1")


@given(st.binary(max_size=300), st.integers(0, 400))
def test_a_hostile_index_is_refused_or_read_never_a_crash(junk: bytes, cut: int) -> None:
    for packed in (junk, gzip.compress(CONTENTS)[:cut], gzip.compress(junk)):
        try:
            LibraryIndex(reduce_contents(packed, "amd64", name="Contents-amd64.gz"))
        except DigestMismatch:
            continue


def test_an_endless_line_is_refused() -> None:
    with pytest.raises(DigestMismatch, match="no index of contents"):
        reduce_contents(gzip.compress(b"x" * (4 << 20)), "amd64", name="Contents-amd64.gz")


def test_the_choice_is_ordered_by_what_comes_anyway_first() -> None:
    shipped = [
        Shipped(package="libbig", section="libs"),
        Shipped(package="libsmall", section="libs"),
        Shipped(package="tool", section="utils"),
        Shipped(package="libgone", section="libs"),
    ]
    sizes = {"libbig": 9, "libsmall": 2, "tool": 1}
    assert best_candidates(shipped, sizes, frozenset()) == ["libsmall", "libbig", "tool"]
    assert best_candidates(shipped, sizes, frozenset({"tool"})) == ["tool", "libsmall", "libbig"]


@pytest.mark.parametrize(
    ("configuration", "place", "hint"),
    [
        ('[image]\napt = ["libgl1", "libfooo2"]\n', "lading.toml:2: image.apt[1]", "did you mean 'libfoo2'?"),
        ('[image.dev]\napt = ["atol"]\n', "lading.toml:2: image.dev.apt[0]", "did you mean 'atool'?"),
        ('[image]\napt = ["libgl1-mesa-glx"]\n', "lading.toml:2: image.apt[0]", "did you mean 'libgl1'?"),
        ('[image]\napt = ["zzzz"]\n', "lading.toml:2: image.apt[0]", ""),
    ],
)
def test_a_package_that_is_not_there_is_told_with_its_line_and_the_near_name(
    world: World, tmp_path: Path, configuration: str, place: str, hint: str
) -> None:
    for name in base_packages("standard"):
        world.mirror.add(name)
    world.mirror.write(contents=CONTENTS)
    root = tmp_path / "project"
    root.mkdir()
    (root / "train.py").touch()
    (root / "lading.toml").write_text(configuration)
    project = load_project(root, environment={})

    with pytest.raises(ResolutionFailed, match="there is no Debian package") as caught:
        resolve_debian(project, world.suites(), provider="standalone", added={})

    assert (caught.value.place, "".join(caught.value.hints)) == (place, hint)
