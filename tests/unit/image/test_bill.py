"""A bill says what an image weighs and what changed; it reads any image that is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lading.cli.budget import Comparison, bill_lines, check_budget, growth_words
from lading.errors import BudgetExceeded, ProjectError
from lading.image.bill import Bill, Row, compare, read_bill
from lading.image.output.attach import attach_documents
from lading.image.python.native import native_variant
from lading.lock.model import Lock
from lading.oci.platform import Platform
from lading.project.model import ImageSettings
from lading.store import Store
from small_image import put_image, small_variant


def bill(*rows: Row, **debian: str) -> Bill:
    return Bill(size_bytes=sum(row.size_bytes for row in rows), rows=rows, debian=debian)


def row(name: str, version: str, size_bytes: int) -> Row:
    return Row(name=name, version=version, size_bytes=size_bytes)


OLD = bill(
    row("base debian:bookworm", "", 40_000_000),
    row("pandas", "2.3.1", 10_000_000),
    row("scipy", "1.0", 5_000_000),
    row("bytecode of other wheels", "", 1_000_000),
    libc6="2.36",
)
NEW = bill(
    row("base debian:bookworm", "", 41_000_000),
    row("pandas", "2.4.0", 24_000_000),
    row("bytecode of other wheels", "", 1_500_000),
    libc6="2.36",
    libgl1="1.6",
)


def test_changes_name_versions_and_what_came_and_went() -> None:
    assert [str(change) for change in compare(OLD, NEW)] == [
        "pandas 2.3.1 → 2.4.0",
        "base debian:bookworm",
        "bytecode of other wheels",
        "libgl1 1.6 added",
        "scipy removed",
    ]


def test_the_last_words_name_packages_before_layers() -> None:
    comparison = Comparison(after=NEW, before=OLD, before_digest=None)
    assert growth_words(comparison) == "+10 MB: pandas 2.3.1 → 2.4.0, scipy removed, libgl1 1.6 added"
    assert growth_words(Comparison(after=NEW, before=NEW, before_digest=None)) == "as before"
    assert growth_words(Comparison(after=NEW, before=None, before_digest=None)) == ""


def test_a_long_bill_is_cut_and_summed_up() -> None:
    lines = bill_lines([(f"package {number}", 1_000_000) for number in range(25)]).splitlines()
    assert (len(lines), lines[-1].split()) == (11, ["15", "MB", "15", "more"])


def test_a_bill_is_read_back_from_the_store(tmp_path: Path) -> None:
    store = Store.open({"LADING_HOME": str(tmp_path)})
    image = put_image(store)
    assert read_bill(store, image.digest) is not None
    attach_documents(store, image, small_variant(), root=tmp_path)
    found = read_bill(store, image.digest)
    assert found is not None
    assert found.size_bytes == sum(layer.size_bytes for layer in image.layers)
    assert Row(name="six", version="1.17.0+local.1", size_bytes=10) in found.rows
    assert found.debian == {"libc6": "1:2.41-12~deb13+1"}
    store.blobs.remove(image.digest)
    assert read_bill(store, image.digest) is None


def test_too_large_and_too_much_grown_fail_with_a_bill_the_largest_first(tmp_path: Path) -> None:
    image = put_image(Store.open({"LADING_HOME": str(tmp_path)}))
    settings = ImageSettings(python="3.11", base="debian:bookworm", max_size=60_000_000)
    comparison = Comparison(after=NEW, before=OLD, before_digest=None)
    with pytest.raises(BudgetExceeded, match="weighs 66 MB, and 60 MB is allowed") as caught:
        check_budget(comparison, image, settings, None, None)
    assert [line["name"] for line in caught.value.bill][:2] == ["base debian:bookworm", "pandas"]
    assert caught.value.exit_status == 1
    check_budget(comparison, image, settings, 70_000_000, 11_000_000)
    with pytest.raises(BudgetExceeded, match=r"grew by 10 MB, and 1.0 MB is allowed\n +\+14 MB  pandas"):
        check_budget(comparison, image, settings, 70_000_000, 1_000_000)
    check_budget(replace(comparison, before=None), image, settings, 70_000_000, 1)


def lock_of(*builds: tuple[str, str, str]) -> Lock:
    variants = tuple(
        replace(
            small_variant(),
            platform=name,
            interpreter=replace(small_variant().interpreter, provider=provider, build=build),
        )
        for name, provider, build in builds
    )
    return Lock(inputs="0" * 64, suites=(), variants=variants)


@pytest.mark.parametrize(
    ("provider", "ours", "theirs"),
    [
        ("debian", "3.13.5-2", "3.13.5-2+b1"),
        ("debian", "3.11.2-6+deb12u6", "3.11.2-6+deb12u6"),
        (
            "standalone",
            "cpython-3.12.16+20261110-x86_64-unknown-linux-gnu-install_only_stripped",
            "cpython-3.12.16+20261110-aarch64-unknown-linux-gnu-install_only_stripped",
        ),
        ("base", f"3.12.7 of sha256:{'a' * 64}", f"3.12.7 of sha256:{'b' * 64}"),
    ],
)
def test_the_same_release_for_this_host_compiles_for_another(provider: str, ours: str, theirs: str) -> None:
    lock = lock_of(("linux/arm64", provider, theirs), ("linux/amd64", provider, ours))
    foreign = lock.variants[0].interpreter
    found = native_variant(lock, foreign, Platform.parse("linux/arm64"), Platform.parse("linux/amd64"))
    assert found.interpreter.build == ours


@pytest.mark.parametrize("others", [(), (("linux/amd64", "debian", "3.11.7-1"),)])
def test_another_release_never_does(others: tuple[tuple[str, str, str], ...]) -> None:
    lock = lock_of(("linux/arm64", "debian", "3.11.2-6"), *others)
    foreign = lock.variants[0].interpreter
    with pytest.raises(ProjectError, match="bytecode for linux/arm64"):
        native_variant(lock, foreign, Platform.parse("linux/arm64"), Platform.parse("linux/amd64"))


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        ("3.12.6", "3.12.7", "needs Python 3.12.7 of sha256:aaa"),
        ("3.12", "3.12", "which release of Python 3.12 it has"),
    ],
)
def test_the_pythons_of_a_base_are_the_same_only_where_both_say_their_release(
    ours: str, theirs: str, says: str
) -> None:
    lock = lock_of(
        ("linux/arm64", "base", f"{theirs} of sha256:{'a' * 64}"),
        ("linux/amd64", "base", f"{ours} of sha256:{'b' * 64}"),
    )
    foreign = replace(lock.variants[0].interpreter, version="3.12")
    with pytest.raises(ProjectError, match=says):
        native_variant(lock, foreign, Platform.parse("linux/arm64"), Platform.parse("linux/amd64"))
