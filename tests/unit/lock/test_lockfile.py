"""The lock file: one text a value, nothing lost, nothing half believed."""

from __future__ import annotations

import dataclasses
import re
import string
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lading.errors import DigestMismatch, ProjectError
from lading.lock.check import add_layers
from lading.lock.lockfile import lock_identity, read_lock, write_lock
from lading.lock.model import (
    AddedPackage,
    Lock,
    LockedCuda,
    LockedInterpreter,
    LockedLayer,
    LockedPackage,
    LockedSuite,
    LockedVariant,
    LockedWheel,
    TargetSelection,
)
from lading.oci.digest import DiffId, Digest

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True)
TEXTS = st.text(string.printable + "éß\U0001f600\x7f", max_size=20)
SIZES = st.integers(0, 1 << 60)


@st.composite
def wheels(draw: st.DrawFn, name: str) -> LockedWheel:
    return LockedWheel(
        name=name,
        version=draw(TEXTS),
        filename=f"{name}-1-py3-none-any.whl",
        sha256=draw(HEX),
        size_bytes=draw(SIZES),
        url=draw(st.none() | TEXTS),
    )


@st.composite
def packages(draw: st.DrawFn, name: str) -> LockedPackage:
    return LockedPackage(
        name=name,
        version=draw(TEXTS),
        architecture="amd64",
        filename=draw(TEXTS),
        sha256=draw(HEX),
        size_bytes=draw(SIZES),
        suite="bookworm",
        role=draw(st.sampled_from(["base", "interpreter", "apt"])),
    )


@st.composite
def cudas(draw: st.DrawFn) -> LockedCuda:
    return LockedCuda(
        version=draw(TEXTS),
        driver=draw(TEXTS),
        full_driver=draw(st.none() | TEXTS),
        capabilities=tuple(draw(st.lists(TEXTS, max_size=3))),
    )


@st.composite
def variants(draw: st.DrawFn, accelerator: str) -> LockedVariant:
    wheel_names = sorted(draw(st.sets(NAMES, max_size=3)))
    package_names = sorted(draw(st.sets(NAMES, max_size=3)))
    added = draw(st.sets(st.sampled_from(package_names))) if package_names else set()
    return LockedVariant(
        accelerator=accelerator,
        platform="linux/amd64",
        interpreter=LockedInterpreter(
            provider="standalone",
            version="3.11",
            build=draw(TEXTS),
            executable="/usr/bin/python3.11",
            packages=tuple(package_names),
            url=draw(st.none() | TEXTS),
            sha256=draw(st.none() | HEX),
            size_bytes=draw(st.none() | SIZES),
        ),
        packages=tuple(draw(packages(name)) for name in package_names),
        wheels=tuple(draw(wheels(name)) for name in wheel_names),
        targets={
            target: TargetSelection(
                wheels=tuple(wheel_names), packages=tuple(package_names), cuda=draw(st.none() | cudas())
            )
            for target in ("dev", "serve", "train")
        },
        added=tuple(
            AddedPackage(name=name, because=draw(TEXTS), targets=("train",)) for name in sorted(added)
        ),
    )


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    keys = sorted(draw(st.sets(HEX, max_size=3)))
    digests = sorted(draw(st.sets(HEX, min_size=len(keys), max_size=len(keys))))
    return Lock(
        inputs=draw(HEX),
        suites=tuple(
            LockedSuite(suite=name, codename=draw(TEXTS), date=draw(TEXTS), release_sha256=draw(HEX))
            for name in sorted(draw(st.sets(NAMES, max_size=2)))
        ),
        variants=tuple(draw(variants(name)) for name in sorted(draw(st.sets(NAMES, max_size=2)))),
        layers=tuple(
            LockedLayer(
                key=key,
                kind="wheel",
                digest=Digest.from_hex(digest),
                diff_id=DiffId.from_hex(draw(HEX)),
                size_bytes=draw(SIZES),
            )
            for key, digest in zip(keys, digests, strict=True)
        ),
    )


def sample() -> Lock:
    def wheel(name: str) -> LockedWheel:
        return LockedWheel(
            name=name,
            version="1.0",
            filename=f"{name}-1.0-py3-none-any.whl",
            sha256="ab" * 32,
            size_bytes=123,
            url=f"https://files.example/{name}.whl",
        )

    return Lock(
        inputs="cd" * 32,
        suites=(
            LockedSuite(
                suite="bookworm",
                codename="bookworm",
                date="Sat, 08 Nov 2026 10:00:00 UTC",
                release_sha256="ef" * 32,
            ),
        ),
        variants=(
            LockedVariant(
                accelerator="cpu",
                platform="linux/amd64",
                interpreter=LockedInterpreter(
                    provider="debian", version="3.11", build="3.11.2-6", executable="/usr/bin/python3.11"
                ),
                packages=(),
                wheels=(wheel("alpha"), wheel("beta")),
                targets={"train": TargetSelection(wheels=("alpha", "beta"), packages=())},
            ),
        ),
    )


@settings(max_examples=40, deadline=None)
@given(locks())
def test_what_is_written_reads_back_the_same(lock: Lock) -> None:
    text = write_lock(lock)
    assert read_lock(text, "lading.lock") == lock
    assert write_lock(read_lock(text, "lading.lock")) == text


def test_the_text_does_not_depend_on_the_order_of_values() -> None:
    lock = sample()
    variant = lock.variants[0]
    shuffled = dataclasses.replace(
        variant,
        wheels=variant.wheels[::-1],
        targets={"train": TargetSelection(wheels=("beta", "alpha"), packages=())},
    )
    assert write_lock(dataclasses.replace(lock, variants=(shuffled,))) == write_lock(lock)


def test_the_text_says_who_made_it_and_that_it_is_not_to_be_edited() -> None:
    assert write_lock(sample()).startswith("# made by lading; do not edit")


def test_one_wheel_more_changes_only_its_own_lines() -> None:
    lock = sample()
    variant = lock.variants[0]
    more = dataclasses.replace(variant.wheels[0], name="gamma", filename="gamma-1.0-py3-none-any.whl")
    longer = dataclasses.replace(
        lock, variants=(dataclasses.replace(variant, wheels=(*variant.wheels, more)),)
    )
    before, after = write_lock(lock).splitlines(), write_lock(longer).splitlines()
    assert after[: len(before)] == before
    assert len(after) - len(before) == 8


@pytest.mark.parametrize(
    ("old", "new", "says", "line"),
    [
        ('version = "1.0"', "version = 1", "version: a text is expected", "version = 1"),
        ("size_bytes = 123", 'size_bytes = "123"', "size_bytes: a number is expected", 'size_bytes = "123"'),
        ("size_bytes = 123", "size_bytes = true", "size_bytes: a number of bytes", "= true"),
        ("size_bytes = 123", "size_bytes = -1", "size_bytes: a number of bytes", "= -1"),
        ('sha256 = "abab', 'sha256 = "ABAB', "sha256: 64 lower-case hex digits", "ABAB"),
        ('version = "1.0"\n', "", "version: is missing", "[[variant.wheel]]"),
        ('version = "1.0"', 'version = "1.0"\ncolour = "red"', "colour: unknown key", "colour"),
        ('filename = "alpha-1.0-py3-none-any.whl"', 'filename = "../x.whl"', "file name", "../x.whl"),
        ('provider = "debian"', 'provider = "debian"\nx = 1', "x: unknown key", "x = 1"),
        ('name = "alpha"', 'name = "omega"', "wheel alpha is not in the variant", None),
        ("format = 1", 'format = "1"', "format: a number is expected", None),
        ("format = 1\n", "", "format: is missing", None),
        ("[[variant]]", "<<<<<<< HEAD\n[[variant]]", "damaged", None),
        ('inputs = "', 'inputs = "x', "inputs: 64", None),
    ],
)
def test_a_damaged_lock_is_refused_with_its_place(old: str, new: str, says: str, line: str | None) -> None:
    text = write_lock(sample()).replace(old, new, 1)
    with pytest.raises(ProjectError) as caught:
        read_lock(text, "lading.lock")
    assert says in caught.value.message
    assert caught.value.hints == ("lading lock",)
    if line is not None:
        match = re.fullmatch(r"lading\.lock:(\d+)", caught.value.place or "")
        assert match is not None
        assert line in text.splitlines()[int(match[1]) - 1]


def test_every_cut_of_a_lock_is_refused_or_reads_the_same() -> None:
    text = write_lock(sample())
    for end in range(0, len(text) - 1, 7):
        try:
            assert read_lock(text[:end], "lading.lock") != sample()
        except ProjectError as error:
            assert error.hints == ("lading lock",)


def test_a_lock_of_a_later_format_asks_for_a_later_lading() -> None:
    with pytest.raises(ProjectError, match="format 2; this lading reads up to 1") as caught:
        read_lock(write_lock(sample()).replace("format = 1", "format = 2"), "lading.lock")
    assert caught.value.hints == ("pip install --upgrade lading",)


def test_identity_leaves_out_hints_and_dates_and_nothing_else() -> None:
    lock = sample()
    variant, suite = lock.variants[0], lock.suites[0]
    hint = dataclasses.replace(variant.wheels[0], url=None)
    same = dataclasses.replace(
        lock,
        suites=(dataclasses.replace(suite, date="later", release_sha256="00" * 32),),
        variants=(dataclasses.replace(variant, wheels=(hint, variant.wheels[1])),),
        layers=(layer("11"),),
    )
    assert lock_identity(same) == lock_identity(lock)
    other = dataclasses.replace(variant.wheels[0], sha256="00" * 32)
    changed = dataclasses.replace(
        lock, variants=(dataclasses.replace(variant, wheels=(other, variant.wheels[1])),)
    )
    assert lock_identity(changed) != lock_identity(lock)


def layer(key: str, digest: str = "aa") -> LockedLayer:
    return LockedLayer(
        key=key * 32,
        kind="wheel",
        digest=Digest.from_hex(digest * 32),
        diff_id=DiffId.from_hex("bb" * 32),
        size_bytes=5,
    )


def test_layers_are_added_sorted_and_once() -> None:
    lock = add_layers(add_layers(sample(), [layer("22")]), [layer("11"), layer("22")])
    assert lock.layers == (layer("11"), layer("22"))


def test_a_layer_that_came_out_differently_is_named() -> None:
    with pytest.raises(DigestMismatch, match="wheel layer 222222222222 came out as sha256:cc"):
        add_layers(add_layers(sample(), [layer("22")]), [layer("22", "cc")])


@pytest.mark.parametrize(
    "changed", [{"diff_id": DiffId.from_hex("3" * 64)}, {"size_bytes": 9}, {"kind": "tail"}]
)
def test_one_digest_is_one_layer(changed: dict[str, object]) -> None:
    """A lock in which somebody gave a layer the digest of another contradicts itself, and is refused."""
    first = LockedLayer(
        key="1" * 64,
        kind="wheel",
        digest=Digest.from_hex("2" * 64),
        diff_id=DiffId.from_hex("2" * 64),
        size_bytes=5,
    )
    second = replace(first, key="2" * 64, **changed)  # type: ignore[arg-type]
    text = write_lock(Lock(inputs="0" * 64, suites=(), variants=(), layers=(first, second)))
    with pytest.raises(ProjectError, match=r"layer\[1\]\.digest"):
        read_lock(text, "lading.lock")
