"""Indexes that say what is not so, or offer a name that another index has: what a lock makes of them."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from fetch.loopback import Handler, Loopback

from lading.errors import ResolutionFailed, WheelRefused
from lading.fetch.http import Fetcher
from lading.fetch.source import LocalFile
from lading.image.kinds.wheels import write_wheels
from lading.image.layer.writer import LayerWriter
from lading.image.spec import WheelsLayer
from lading.lock.model import LockedWheel
from lading.lock.requirements import TargetRequirements
from lading.lock.target import target_environment
from lading.lock.wheels import ResolvedWheels, WheelRequest, resolve_wheels
from lading.oci.platform import Platform
from lading.store import Store
from lock.index import Index, make_project, make_wheel

Lock = Callable[..., ResolvedWheels]


@pytest.fixture
def lock(tmp_path: Path, store: Store, fetcher: Fetcher, environment: dict[str, str]) -> Lock:
    """Resolves `requirements`, or a whole pyproject.toml, for one target."""

    def run(
        requirements: str | None = None,
        *,
        pyproject: str | None = None,
        more: Mapping[str, str] | None = None,
    ) -> ResolvedWheels:
        project = make_project(tmp_path / "p", requirements=requirements, pyproject=pyproject)
        request = WheelRequest(
            project=project,
            target=target_environment(project.image.base, "3.11.2", Platform.parse("linux/amd64")),
            accelerator="cpu",
            requirements={"train": TargetRequirements()},
            kept={},
            known_sizes={},
        )
        return resolve_wheels(
            request, store=store, fetcher=fetcher, environment={**environment, **(more or {})}
        )

    return run


def versions(resolved: ResolvedWheels) -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in resolved.wheels}


def write(wheel: LockedWheel, content: bytes, store: Store, folder: Path) -> None:
    """The layer of a locked wheel, as a build writes it. Raises WheelRefused, DigestMismatch."""
    path = folder / wheel.filename
    path.write_bytes(content)
    spec = WheelsLayer(kind="wheel", title=wheel.name, wheels=(wheel,), python_version="3.11")
    with store.blobs.writer() as blob:
        writer = LayerWriter(blob)
        write_wheels(spec, writer, lambda _: LocalFile(path))
        writer.finish()


def page(handler: Handler, content: bytes) -> None:
    handler.begin(200, len(content), Content_Type="text/html")
    handler.body(content)


def offer_as_html(index: Index, name: str, rows: Mapping[str, str]) -> None:
    """File name → its attributes: PEP 503 instead of PEP 691."""
    links = "".join(f'<a href="../../files/{file}{said}">{file}</a>\n' for file, said in rows.items())
    index.server.files[f"/simple/{name}/"] = f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
    index.server.answers[f"/simple/{name}/"] = [page]


@pytest.mark.catalogue("R37")
def test_what_lies_beside_a_wheel_decides_neither_its_name_nor_its_bytes(
    index: Index, lock: Lock, store: Store, tmp_path: Path
) -> None:
    """PEP 658: the index names another package in the metadata; the wheel's own is what is installed."""
    filename = index.add("alpha", "1.0")
    content = index.server.files[f"/files/{filename}"]
    index.server.files[f"/files/{filename}.metadata"] = b"Metadata-Version: 2.1\nName: beta\nVersion: 2.0\n"
    (wheel,) = lock("alpha\n").wheels
    assert (wheel.name, wheel.version) == ("alpha", "1.0")
    assert wheel.sha256 == hashlib.sha256(content).hexdigest()
    write(wheel, content, store, tmp_path)


@pytest.mark.catalogue("R37")
def test_a_file_name_that_lies_about_the_version_never_becomes_a_layer(
    index: Index, lock: Lock, store: Store, tmp_path: Path
) -> None:
    """The bytes are of 1.0 and the name says 2.0: refused when the wheel itself is read."""
    _, content = make_wheel("alpha", "1.0")
    index._offer("alpha", "alpha-2.0-py3-none-any.whl", content)
    (wheel,) = lock("alpha\n").wheels
    with pytest.raises(WheelRefused) as caught:
        write(wheel, content, store, tmp_path)
    assert "alpha-2.0-py3-none-any.whl" in caught.value.message


@pytest.mark.catalogue("R37")
def test_a_file_without_a_hash_is_locked_by_the_bytes_themselves(index: Index, lock: Lock) -> None:
    """An old index names none, in JSON or as a fragment: the lock has the sha256 all the same."""
    filename = index.add("alpha", "1.0")
    content = index.server.files[f"/files/{filename}"]
    offer_as_html(index, "alpha", {filename: ""})
    (wheel,) = lock("alpha\n").wheels
    assert wheel.sha256 == hashlib.sha256(content).hexdigest()
    assert wheel.size_bytes == len(content)


@pytest.mark.catalogue("R37")
def test_a_yanked_version_is_locked_only_where_it_is_asked_for_by_name(index: Index, lock: Lock) -> None:
    """PEP 592."""
    first, second = index.add("alpha", "1.0"), index.add("alpha", "2.0")
    said = {
        name: f"#sha256={hashlib.sha256(index.server.files[f'/files/{name}']).hexdigest()}"
        for name in (first, second)
    }
    offer_as_html(index, "alpha", {first: said[first], second: f'{said[second]}" data-yanked="broken'})
    assert versions(lock("alpha\n")) == {"alpha": "1.0"}
    assert versions(lock("alpha==2.0\n")) == {"alpha": "2.0"}


@pytest.mark.catalogue("R37")
def test_a_page_in_html_and_one_in_json_give_the_same_lock(index: Index, lock: Lock) -> None:
    filename = index.add("alpha", "1.0", requires=["beta"])
    index.add("beta", "1.0")
    in_json = lock("alpha\n")
    sha256 = hashlib.sha256(index.server.files[f"/files/{filename}"]).hexdigest()
    offer_as_html(index, "alpha", {filename: f"#sha256={sha256}"})
    assert lock("alpha\n") == in_json


@pytest.mark.catalogue("R37")
def test_a_page_of_twenty_thousand_links_is_read(index: Index, lock: Lock) -> None:
    """Nightly builds of years."""
    filename = index.add("alpha", "1.0")
    sha256 = hashlib.sha256(index.server.files[f"/files/{filename}"]).hexdigest()
    rows = {f"alpha-0.{n}-py3-none-any.whl": f"#sha256={'0' * 64}" for n in range(20_000)}
    offer_as_html(index, "alpha", {**rows, filename: f"#sha256={sha256}"})
    assert versions(lock("alpha\n")) == {"alpha": "1.0"}


@pytest.mark.catalogue("R37")
def test_a_page_that_is_no_page_is_refused_with_its_index(index: Index, lock: Lock) -> None:
    """A login form where the index was: nothing is offered, and the name is said."""
    index.server.files["/simple/alpha/"] = html.escape("<form>").encode()
    index.server.answers["/simple/alpha/"] = [page]
    with pytest.raises(ResolutionFailed, match="alpha"):
        lock("alpha\n")


@pytest.mark.catalogue("R38")
def test_a_dependency_of_a_private_package_comes_from_the_first_index_too(index: Index, lock: Lock) -> None:
    """Nobody wrote its name down: that is how a public package of a private name gets in."""
    index.add("core-tools", "99.0")
    with Loopback() as server:
        private = Index(server)
        private.add("our-app", "1.0", requires=["core-tools"])
        private.add("core-tools", "1.0")
        found = versions(lock("our-app\n", more={"UV_INDEX": private.url}))
    assert found == {"our-app": "1.0", "core-tools": "1.0"}


@pytest.mark.catalogue("R38")
def test_a_version_that_only_the_second_index_has_is_refused(index: Index, lock: Lock) -> None:
    """Asking for it does not open the door; the message says how to say which index is meant."""
    index.add("private", "9.9")
    with Loopback() as server:
        private = Index(server)
        private.add("private", "1.0")
        with pytest.raises(ResolutionFailed, match="private") as caught:
            lock("private>=9\n", more={"UV_INDEX": private.url})
    assert "[tool.uv.sources] private = { index = … }" in caught.value.hints[0]


@pytest.mark.catalogue("R38")
def test_a_name_that_is_pinned_to_an_index_comes_from_there(index: Index, lock: Lock) -> None:
    index.add("private", "9.9")
    index.add("public", "1.0")
    with Loopback() as server:
        private = Index(server)
        private.add("private", "1.0")
        private.add("public", "0.1")
        pyproject = f"""
[project]
name = "demo"
version = "1"
dependencies = ["private", "public"]
[tool.uv.sources]
private = {{ index = "ours" }}
[[tool.uv.index]]
name = "ours"
url = "{private.url}"
explicit = true
"""
        assert versions(lock(pyproject=pyproject)) == {"private": "1.0", "public": "1.0"}


@pytest.mark.catalogue("R38")
def test_an_index_in_the_requirements_is_asked_as_pip_users_expect(index: Index, lock: Lock) -> None:
    """`--extra-index-url` of a requirements file: still one index a name, and it is the extra one."""
    index.add("private", "9.9")
    index.add("public", "1.0")
    with Loopback() as server:
        private = Index(server)
        private.add("private", "1.0")
        found = versions(lock(f"--extra-index-url {private.url}\nprivate\npublic\n"))
    assert found == {"private": "1.0", "public": "1.0"}
