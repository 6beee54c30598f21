"""The laws of locks: one holder at a time, also while their files come and go."""

from __future__ import annotations

import threading
from pathlib import Path

from lading.store import Store
from lading.store.collect import gc
from lading.store.locks import file_lock


def test_two_never_hold_a_lock_whose_file_its_holders_remove(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(200):
            with file_lock(path):
                inside.append(1)
                most.append(len(inside))
                inside.pop()
                path.unlink()  # the last thing: from here on another may hold a lock of this name

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 800
    assert max(most) == 1


def test_collection_removes_the_locks_of_what_is_done_and_no_other(tmp_path: Path) -> None:
    store = Store.open({"LADING_HOME": str(tmp_path / "home")})
    names = {"pull-free", "pull-held", "upload-free", "wheel-free", "service-free", "tree-free"}
    for name in names:
        with store.lock(name):
            pass
    with store.lock("pull-held"):
        gc(store, [], keep_seconds=0)
    left = {path.name for path in (store.root / "locks").iterdir()}
    assert names & left == {"pull-held", "service-free", "tree-free"}
