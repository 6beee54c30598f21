"""A rule sees the names, sizes and texts beside a file, and nothing where that would take long or lead
away.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.inspect.lint import surroundings
from lading.inspect.lint.surroundings import Folder, Neighbourhood, Surroundings


def test_a_listing_has_files_with_sizes_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c.txt").write_text("four")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text("x")
    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / "up").symlink_to(tmp_path)
    listing = Folder(tmp_path).listing
    assert listing.sizes == {"a/b/c.txt": 4}
    assert listing.folders == {"a", "a/b", ".git"}, "what is in .git concerns nobody"


def test_a_folder_that_is_too_large_has_no_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "_MOST_ENTRIES", 3)
    for name in "abcd":
        (tmp_path / name).touch()
    assert Folder(tmp_path).listing == Folder(None).listing


def test_a_text_is_small_and_is_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    (tmp_path / "b").write_text("é")
    folder = Folder(tmp_path)
    assert (folder.read("a"), folder.read("b"), folder.read("c"), folder.read(".")) == (None, "é", None, None)
    assert (Folder(None).read("b"), Folder(None).has("b"), Folder(None).above) == (None, False, None)


def test_nothing_above_a_repository_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "top/.git").mkdir(parents=True)
    (tmp_path / "top/docker").mkdir()
    above = Folder(tmp_path / "top/docker").above
    assert above is not None
    assert above.path == tmp_path / "top"
    assert above.above is None


def test_folders_of_many_files_are_looked_at_once(tmp_path: Path) -> None:
    near = Neighbourhood()
    first, second = near.of(tmp_path / "a/Dockerfile"), near.of(tmp_path / "a/Dockerfile.gpu")
    assert first.folder is second.folder
    assert first.folder.above is near.of(tmp_path / "b/Dockerfile").folder.above
    assert Surroundings().folder.listing.sizes == {}
