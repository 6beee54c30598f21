"""The store on file systems that are full or read-only, without descriptors, and under collection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lading.oci.digest import Digest
from lading.store import Store
from lading.store.collect import gc
from lading.store.verify import verify

LADING = (sys.executable, "-c", "from lading.cli.main import main; main()")


def in_namespace(script: str, *arguments: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a mount namespace of its own, so that nothing stays mounted."""
    return subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script, "sh", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "LADING_HOME": str(home), "PYTHON": sys.executable},
    )


FILL = """
mount -t tmpfs -o size=200k,nr_inodes=200 none "$1"
"$PYTHON" - <<'END'
import os, random
from lading.errors import StoreError
from lading.store import Store
from lading.store.verify import verify
store = Store.open(os.environ)
kept = store.blobs.put(b"small")
failed = 0
for number in range(40):
    try:
        digest = store.blobs.put(random.Random(number).randbytes(20_000))
        store.layers.put(digest.hex, {"digest": str(digest)})
    except StoreError as error:
        failed += 1
        assert "No space left" in error.message, error.message
        assert "lading store gc" in error.hints
assert failed > 10, failed
assert os.listdir(store.staging) == []
assert store.blobs.read(kept) == b"small"
assert verify(store).damages == ()
END
"""


@pytest.mark.root
def test_a_full_disk_is_an_error_with_a_remedy_and_harms_nothing(tmp_path: Path) -> None:
    """S14, S33 (tmpfs)."""
    home = tmp_path / "home"
    home.mkdir()

    done = in_namespace(FILL, home, home=home)

    assert (done.returncode, done.stderr) == (0, "")


READ_ONLY = """
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
for command in "store du" "store verify" runs models services ps; do
    "$PYTHON" -c 'from lading.cli.main import main; main()' $command --json
done
"$PYTHON" -c 'from lading.cli.main import main; main()' store gc && exit 9 || echo "{\\"gc\\": $?}"
"""


@pytest.mark.root
def test_commands_that_read_work_on_a_read_only_store(tmp_path: Path) -> None:
    """S17; and one that writes says what to do."""
    home = tmp_path / "home"
    store = Store.open({"LADING_HOME": str(home)})
    store.blobs.put(b"blob")
    prepare = subprocess.run([*LADING, "runs"], env={**os.environ, "LADING_HOME": str(home)}, check=True)

    done = in_namespace(READ_ONLY, home, home=home)

    assert prepare.returncode == 0
    assert done.returncode == 0, done.stderr
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert [document.get("type") for document in documents] == ["usage", "verification", None]
    assert documents[-1] == {"gc": 3}
    assert "Read-only file system" in done.stderr
    assert "hint: export LADING_HOME=" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("limit", [8, 12, 16, 24])
def test_running_out_of_descriptors_is_an_error_with_a_remedy(tmp_path: Path, limit: int) -> None:
    """S18: whatever the limit, the answer is a result or a typed error, and the store stays whole."""
    store = Store.open({"LADING_HOME": str(tmp_path)})
    for number in range(20):
        store.blobs.put(str(number).encode())
    code = (
        "import resource, sys\n"
        "from lading.store import Store\n"
        "from lading.store.verify import verify\n"
        "from lading.errors import StoreError\n"
        "import concurrent.futures.thread\n"
        "store = Store.open({'LADING_HOME': sys.argv[1]})\n"
        "held = [open('/dev/null') for _ in range(int(sys.argv[2]) - 5)]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))\n"
        "try:\n"
        "    store.blobs.put(b'new')\n"
        "    verify(store, workers=8)\n"
        "except StoreError as error:\n"
        "    assert 'Too many open files' in error.message, error.message\n"
        "    assert 'ulimit -n 4096' in error.hints, error.hints\n"
        "    print('refused')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(limit)], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert verify(store).damages == ()
    assert os.listdir(store.staging) == []


BUILD = """
import sys
from lading.oci.json import canonical_json
from lading.store import Store
store = Store.open({"LADING_HOME": sys.argv[1]})
for number in range(60):
    with store.using():
        layer = store.blobs.put(b"layer %d of %s" % (number, sys.argv[2].encode()))
        shared = store.blobs.put(b"shared %d" % number)
        store.layers.put(layer.hex, {"digest": str(layer)})
        body = canonical_json({"layers": [{"digest": str(layer)}, {"digest": str(shared)}]})
        manifest = store.blobs.put(body)
        for digest in (layer, shared, manifest):
            store.blobs.read(digest)
        store.images.put(manifest.hex, {"digest": str(manifest)})
print(manifest)
"""


@pytest.mark.slow
def test_builds_and_collections_and_checks_at_once_leave_a_whole_store(tmp_path: Path) -> None:
    """S30, S31: while a build holds the store, nothing it wrote is taken; afterwards nothing dangles."""
    store = Store.open({"LADING_HOME": str(tmp_path)})
    builds = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD, str(tmp_path), name], stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b", "c")
    ]
    rounds = 0
    while any(build.poll() is None for build in builds):
        gc(store, [], keep_seconds=0)
        assert verify(store).damages == ()
        rounds += 1
    manifests = [build.communicate()[0].strip() for build in builds]

    assert [build.returncode for build in builds] == [0, 0, 0]
    assert rounds > 0
    assert all(Digest(manifest) for manifest in manifests)
    gc(store, [], keep_seconds=0)
    assert list(store.blobs) == []
    assert verify(store).damages == ()
