"""What `why`, `lock` and `store gc` decide, on records made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lading.cli.lock import changed_versions, folder_and_upgrade, shown_changes
from lading.cli.plan import layer_states
from lading.cli.roots import store_roots
from lading.cli.run import other_target
from lading.cli.why import changed_layers
from lading.errors import UsageError
from lading.image.build import load_image
from lading.image.model import Image
from lading.image.output.attach import attach_documents
from lading.image.plan import Plan
from lading.image.spec import FilesLayer, PlannedFile
from lading.lock.lockfile import write_lock
from lading.lock.model import Lock
from lading.run.ledger import Ledger
from lading.store import Store
from lading.store.collect import gc
from lading.store.verify import verify
from small_image import put_image, put_layer, small_variant


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "home")})


def record(store: Store, image: Image) -> str:
    key = image.digest.hex
    store.images.put(
        key,
        {
            "digest": image.digest,
            "layers": [layer.as_json() for layer in image.layers],
            "manifest": image.manifest.as_json(),
            "config": image.config.as_json(),
        },
    )
    return key


def with_code(store: Store, image: Image, files: dict[str, bytes]) -> Image:
    return replace(image, layers=(*image.layers, put_layer(store, "code", files)))


def test_why_names_the_layers_and_the_files_of_the_code_that_differ(store: Store) -> None:
    before = with_code(store, put_image(store), {"app/train.py": b"1", "app/same.py": b"same"})
    after = with_code(
        store,
        put_image(store, program=b"new"),
        {"app/train.py": b"2", "app/same.py": b"same", "app/n.py": b""},
    )
    record(store, before)
    record(store, after)

    assert changed_layers(store, before.digest, after.digest) == [
        "~ base layer",
        "~ code layer: n.py, train.py",
    ]
    assert changed_layers(store, before.digest, before.digest) == []


@pytest.mark.parametrize(
    ("words", "program", "target"),
    [
        ([], "torch", "serve"),
        (["train"], "gcc", "serve"),
        (["some/folder"], "gcc", "serve"),
        (["serve"], "torch", None),
        (["serve"], "six", "train"),
        ([], "six", None),
        ([], "python", None),
    ],
)
def test_a_program_that_is_not_in_the_image_is_looked_for_in_the_other_targets(
    words: list[str], program: str, target: str | None
) -> None:
    assert (
        other_target(Lock(inputs="0" * 64, suites=(), variants=(small_variant(),)), words, program) == target
    )


def lock_of(**versions: str) -> Lock:
    variant = small_variant()
    wheels = tuple(replace(variant.wheels[0], name=name, version=v) for name, v in versions.items())
    return Lock(inputs="0" * 64, suites=(), variants=(replace(variant, wheels=wheels, packages=()),))


def test_a_lock_says_what_came_went_and_moved() -> None:
    before, after = lock_of(six="1", numpy="2.0"), lock_of(numpy="2.1", torch="3")

    assert changed_versions(before, after) == ["~ numpy 2.0 → 2.1", "- six 1", "+ torch 3"]
    assert changed_versions(after, after) == []
    assert "+ torch 3" in changed_versions(None, after)


@pytest.mark.parametrize(
    ("folder", "words", "means"),
    [
        (None, [], (".", None)),
        (None, ["1"], (".", "all")),
        (None, ["0"], (".", None)),
        (None, ["torch", "Typing_Extensions"], (".", ("torch", "typing-extensions"))),
        (None, ["digits"], ("digits", "all")),
        (None, ["./torch"], ("./torch", "all")),
        ("digits", ["torch"], ("digits", ("torch",))),
        ("torch", ["digits"], ("torch", ("digits",))),
    ],
)
def test_upgrade_takes_a_name_and_leaves_the_folder_alone(
    folder: str | None,
    words: list[str],
    means: tuple[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`torch` is a folder and a locked name at once: the name wins, `./torch` is the folder."""
    monkeypatch.chdir(tmp_path)
    Path("torch").mkdir()
    Path("digits").mkdir()
    lock = lock_of(torch="1")
    lock = replace(lock, variants=(replace(lock.variants[0], targets={}),))
    Path("lading.lock").write_text(write_lock(lock))

    assert folder_and_upgrade(folder, words) == means


def test_a_first_lock_lists_no_package_and_a_later_one_forty_changes_at_most() -> None:
    changes = [f"+ package-{number} 1" for number in range(170)]

    assert shown_changes(None, changes) == []
    assert shown_changes(lock_of(), changes[:40]) == changes[:40]
    assert shown_changes(lock_of(), changes) == [*changes[:40], "and 130 more"]


def test_everything_and_a_name_contradict() -> None:
    with pytest.raises(UsageError, match="choose one"):
        folder_and_upgrade(".", ["1", "torch"])


def test_the_newest_image_of_a_target_is_kept_with_its_documents_and_an_older_one_goes(
    store: Store, tmp_path: Path
) -> None:
    older, newer = put_image(store, program=b"old"), put_image(store)
    with Ledger.open(store) as ledger:
        for image in (older, newer):
            record(store, image)
            ledger.add_image(image)
    attached = attach_documents(store, newer, small_variant(), root=tmp_path)

    gc(store, store_roots(store, keep_seconds=0), keep_seconds=0)

    assert not store.blobs.has(older.digest)
    assert all(store.blobs.has(blob) for blob in (newer.digest, attached.sbom, attached.provenance))
    assert all(store.blobs.has(layer.digest) for layer in newer.layers)
    assert verify(store).damages == ()


def test_a_young_image_that_the_ledger_does_not_know_is_kept(store: Store) -> None:
    image = put_image(store)
    key = record(store, image)

    gc(store, store_roots(store, keep_seconds=3600), keep_seconds=0)

    assert store.images.has(key)
    assert all(store.blobs.has(layer.digest) for layer in image.layers)


def test_a_plan_knows_what_the_store_has(store: Store) -> None:
    file = PlannedFile(path="app/a.py", mode=0o644, size_bytes=1, sha256="0" * 64)
    spec = FilesLayer(kind="code", title="code of x", files=(file,))
    plan = Plan(
        project="x",
        target="train",
        accelerator="cpu",
        platform="linux/amd64",
        tag="x:1",
        layers=(spec,),
        env=(),
        cmd=(),
        user="",
        working_dir="/",
        labels={},
    )
    before = layer_states(store, plan, lock_of())
    layer = put_layer(store, "code", {"app/a.py": b"x"})
    store.layers.put(spec.key, {**layer.as_json(), "key": spec.key})
    store.indexes.put(spec.key, [])
    after = layer_states(store, plan, lock_of())

    assert [state.in_store for state in (*before, *after)] == [False, True]
    assert after[0].size_bytes == layer.size_bytes


def test_an_image_on_record_without_its_blobs_is_no_image(store: Store) -> None:
    image = put_image(store)
    record(store, image)
    store.blobs.remove(image.layers[0].digest)

    assert load_image(store, image.digest.hex) is None
