"""What else goes into an image, on a real base in the real engine: steps, files, baked models."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.people import Person
from unit.run.tiny_onnx import doubling_model

pytestmark = [pytest.mark.slow, pytest.mark.network]

LADING = (sys.executable, "-c", "from lading.cli.main import main; main()")
SECRET = "hunter2-and-more"
ASK = """
import json, subprocess, sys, time, urllib.request
server = subprocess.Popen(sys.argv[1:])
body = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2]}]}
for _ in range(600):
    try:
        with urllib.request.urlopen(
            urllib.request.Request("http://127.0.0.1:8080/v2/models/project/infer", json.dumps(body).encode())
        ) as answer:
            print(json.load(answer)["outputs"][0]["data"])
            break
    except OSError:
        time.sleep(0.1)
server.terminate()
server.wait()
"""


class Folder:
    """A project, and a store that the tests of this file share."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root, self.home = root / "project", home
        self.root.mkdir()
        (self.root / "train.py").write_text("print(1)\n")
        (self.root / "requirements.txt").write_text("")

    def write(self, config: str) -> None:
        (self.root / "lading.toml").write_text(config)

    def __call__(
        self, *arguments: str, exit_status: int = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*LADING, *arguments],
            cwd=self.root,
            env={**os.environ, "LADING_HOME": str(self.home), **variables},
            capture_output=True,
            text=True,
        )
        assert done.returncode == exit_status, done.stderr
        return done

    def build(self, *arguments: str, **variables: str) -> dict[str, dict[str, str]]:
        """Layers by title."""
        document = json.loads(self("build", "--json", *arguments, **variables).stdout)
        return {layer["title"]: layer for layer in document["layers"]}

    def inside(self, *command: str) -> str:
        return self("run", "--", *command).stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def folder(tmp_path: Path, home: Path) -> Folder:
    return Folder(tmp_path, home)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """An HTTP server of one file on loopback."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www/far.txt").write_text("from far\n")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "www"), **options)  # type: ignore[arg-type]

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


def step(run: str, rest: str = "") -> str:
    return f"[[image.step]]\nrun = '''{run}'''\n{rest}\n"


def fetch(url: str) -> str:
    return f"python3 -c 'import urllib.request as u; print(u.urlopen(\"{url}\", timeout=9).read().decode())'"


def test_what_a_step_changes_is_in_the_image_and_what_it_removes_is_gone(folder: Folder) -> None:
    (folder.root / "words.txt").write_text("seen\n")
    folder.write(
        step(
            "cp words.txt /srv/words; mkdir -m 1777 /data; rm /etc/os-release; rm -r /etc/skel;"
            " mkdir /etc/skel; echo x > /tmp/gone; test $(id -u) = 0",
            'inputs = ["words.txt"]',
        )
        + step("cat /srv/words /srv/words > /srv/twice")
    )
    folder.build()
    said = folder.inside("sh", "-c", "cat /srv/twice; ls -A /etc/skel /tmp; touch /data/w && id -u")
    assert said.splitlines() == ["seen", "seen", "/etc/skel:", "", "/tmp:", "1000"]
    failed = folder("run", "--", "cat", "/etc/os-release", exit_status=1)
    assert "No such file" in failed.stderr


def test_a_step_runs_again_for_its_inputs_and_not_for_code(folder: Folder) -> None:
    """Its layer is found by the layers below, the command and the inputs; a step above it follows."""
    (folder.root / "words.txt").write_text("one\n")
    folder.write(step("cp words.txt /srv/", 'inputs = ["words.txt"]') + step("cp /srv/words.txt /srv/copy"))
    first = folder.build()
    (folder.root / "train.py").write_text("print(2)\n")
    second = folder.build()
    (folder.root / "words.txt").write_text("two\n")
    third = folder.build()
    titles = [title for title in first if title.startswith("step")]
    assert [first[title]["key"] for title in titles] == [second[title]["key"] for title in titles]
    assert all(first[title]["key"] != third[title]["key"] for title in titles)
    assert folder.inside("cat", "/srv/copy") == "two\n"


@pytest.mark.root
def test_a_step_comes_out_the_same_for_root_and_user(
    folder: Folder, ordinary_user: Person, tmp_path: Path
) -> None:
    """D: the owner, umask and clock of who builds do not reach the layer."""
    config = step(
        "mkdir -p /srv/a; echo x > /srv/a/b; chmod 640 /srv/a/b; ldconfig; python3 -m compileall -q /srv"
    )
    folder.write(config)
    ours = folder.build()
    theirs = ordinary_user.home / "step-project"
    theirs.mkdir()
    for name in ("train.py", "requirements.txt", "lading.toml", "lading.lock"):
        (theirs / name).write_text((folder.root / name).read_text())
    subprocess.run(["chown", "-R", "1000:1000", str(theirs)], check=True)
    done = ordinary_user.tool("lading", "build", "--json", cwd=theirs)
    layers = {layer["title"]: layer for layer in json.loads(done.stdout)["layers"]}
    title = next(title for title in ours if title.startswith("step"))
    assert layers[title]["digest"] == ours[title]["digest"]


def test_a_step_that_fails_shows_its_last_words_and_its_place(folder: Folder) -> None:
    folder.write("\n" + step("echo working; echo no such flag >&2; exit 3"))
    done = folder("build", exit_status=1)
    assert "ended with exit code 3" in done.stderr
    assert "working\n  no such flag" in done.stderr
    assert "lading.toml:2" in done.stderr
    folder.write(step("false; echo on"))
    assert "it said nothing" in folder("build", exit_status=1).stderr


def test_no_network_unless_asked_and_then_it_is_said_everywhere(
    folder: Folder, server: str, tmp_path: Path
) -> None:
    """In the plan, a label, the provenance and by --prove; such a layer is not locked."""
    run = fetch(f"{server}/far.txt") + " > /srv/far"
    folder.write(step(run))
    assert "network = true" in folder("build", exit_status=1).stderr
    folder.write(step(run, "network = true"))
    assert "with the network: not reproducible" in folder("plan").stdout
    provenance = tmp_path / "provenance.json"
    done = folder("build", "--prove", "--provenance", str(provenance), "--output", f"oci:{tmp_path}/oci")
    assert "proves nothing for later" in done.stderr
    statement = json.loads(provenance.read_text())
    (marked,) = statement["predicate"]["buildDefinition"]["internalParameters"]["notReproducible"]
    assert marked.startswith("step 1: python3")
    labels = [
        json.loads(path.read_bytes()).get("config", {}).get("Labels")
        for path in (tmp_path / "oci/blobs/sha256").iterdir()
        if path.stat().st_size < 20_000 and path.read_bytes().startswith(b'{"architecture"')
    ]
    assert labels == [{"dev.lading.not-reproducible": "step 1: with the network"}]
    assert folder.inside("cat", "/srv/far").strip() == "from far"
    lock = (folder.root / "lading.lock").read_text()
    assert '"base"' in lock and "step" not in lock
    (tmp_path / "www/far.txt").write_text("another\n")


@pytest.mark.parametrize("network", ["false", "true"])
def test_prove_names_the_file_of_a_step_that_differs(folder: Folder, network: str) -> None:
    folder.write(step("head -c 8 /dev/urandom > /srv/random", f"network = {network}"))
    done = folder("build", "--prove", exit_status=3)
    assert "'step 1: head -c 8" in done.stderr and "/srv/random differs" in done.stderr


def test_a_step_that_differs_is_a_warning_and_under_locked_an_error(folder: Folder, tmp_path: Path) -> None:
    folder.write(step("head -c 8 /dev/urandom > /srv/random"))
    folder.build()
    folder.home = tmp_path / "home"
    assert "came out otherwise than the lock says" in folder("build").stderr
    folder.home = tmp_path / "third"
    assert "the lock says" in folder("build", "--locked", exit_status=3).stderr


@pytest.mark.catalogue("Z08")
def test_a_secret_is_there_for_its_step_and_nowhere_afterwards(folder: Folder, tmp_path: Path) -> None:
    """Not in the root, layers, records, documents or logs; a command that writes it down stops the build."""
    given = 'secrets = ["TOKEN"]'
    folder.write(step("test ${#TOKEN} = 16; echo ok > /srv/ok; echo $TOKEN > /tmp/t", given))
    missing = folder("build", exit_status=1)
    assert "export TOKEN=…" in missing.stderr
    folder.build("--sbom", str(tmp_path / "s"), "--provenance", str(tmp_path / "p"), TOKEN=SECRET)
    assert folder.build() != {}, "cached: the value is not asked for again"
    found = folder.inside(
        "sh", "-c", "env; grep -rs hunter2 / --exclude-dir=proc --exclude-dir=sys; cat /srv/ok"
    )
    assert "ok" in found and "hunter2" not in found
    for run, place in (
        ("echo pre-$TOKEN-post > /srv/conf", "/srv/conf"),
        ("mkdir /srv/$TOKEN", "/srv/hunter2-and-more"),
        ("ln -s $TOKEN /srv/link", "/srv/link"),
    ):
        folder.write(step(run, given))
        done = folder("build", exit_status=1, TOKEN=SECRET)
        assert f"left the secret TOKEN in {place.replace(SECRET, '[TOKEN]')}" in done.stderr
        assert SECRET not in done.stderr
    folder.write(step("echo using $TOKEN; false", given))
    assert "using [TOKEN]" in folder("build", exit_status=1, TOKEN=SECRET).stderr
    names = subprocess.run(
        ["grep", "-rls", "hunter2", str(folder.home), str(tmp_path)], capture_output=True, text=True
    )
    assert names.stdout.replace(str(folder.root / "lading.toml"), "").strip() == ""


@pytest.mark.parametrize("level", ["chroot", "process"])
def test_without_namespaces_a_step_is_refused_before_anything_is_fetched(folder: Folder, level: str) -> None:
    folder.write(step(f"echo {level} > /srv/level"))
    done = folder("build", exit_status=3, LADING_EMBEDDED_LEVEL=level)
    assert "needs the level namespaces" in done.stderr and "lading engines" in done.stderr


def test_a_step_reaches_neither_the_project_nor_the_host(folder: Folder) -> None:
    """It sees copies of its inputs, read-only, and none of the caller's variables."""
    (folder.root / "in.txt").write_text("in\n")
    run = "ls /app; env; touch /app/new 2>&1 || true; test ! -e /home/lading-marker; cat in.txt; false"
    folder.write(step(run, 'inputs = ["in.txt"]'))
    done = folder("build", exit_status=1, LADING_MARKER="of the caller")
    assert "in.txt" in done.stderr and "train.py" not in done.stderr.partition("ended with")[2].replace(
        run, ""
    )
    assert "Read-only file system" in done.stderr and "of the caller" not in done.stderr
    assert (folder.root / "in.txt").read_text() == "in\n" and not (folder.root / "new").exists()


def test_files_come_from_the_project_and_by_https(folder: Folder, server: str) -> None:
    sha256 = hashlib.sha256(b"from far\n").hexdigest()
    (folder.root / "weights").mkdir()
    (folder.root / "weights/a.safetensors").write_bytes(os.urandom(2 << 20))
    files = '[[image.files]]\nsource = "weights"\ndestination = "/opt/weights"\n'
    files += f'[[image.files]]\nsource = "{server}/far.txt"\ndestination = "/opt/far.txt"\nmode = "0444"\n'
    folder.write(files + f'sha256 = "{sha256}"\n')
    layers = folder.build()
    own = layers["/opt/weights/a.safetensors"]
    assert own["kind"] == "files" and "/opt/far.txt" in layers
    said = folder.inside(
        "sh", "-c", "cat /opt/far.txt; stat -c %a /opt/far.txt; sha256sum /opt/weights/*; ls /app"
    )
    assert said.startswith(
        "from far\n444\n" + hashlib.sha256((folder.root / "weights/a.safetensors").read_bytes()).hexdigest()
    )
    assert "weights" not in said.rpartition("safetensors")[2]
    folder.write(files + f'sha256 = "{"0" * 64}"\n')
    assert "sha256" in folder("build", exit_status=3).stderr


def ask(folder: Folder) -> str:
    """What the baked server of the serve image answers, in a container without the network."""
    document = json.loads(folder("plan", "--target", "serve", "--json").stdout)
    return folder("run", "serve", "--", "python", "-c", ASK, *document["cmd"]).stdout


def test_a_baked_model_of_a_path_is_served_by_the_image_alone(folder: Folder) -> None:
    (folder.root / "double.onnx").write_bytes(doubling_model(weights="double.bin"))
    (folder.root / "double.bin").write_bytes(bytes(8))
    folder.write('[serve]\nmodel = "double.onnx"\nbake = true\n')
    layers = folder.build("--target", "serve")
    assert list(layers.values())[-1]["kind"] == "model"
    assert "[3.0, 4.0]" in ask(folder)


def test_a_tasks_newest_sealed_model_is_baked_and_named(folder: Folder) -> None:
    """None sealed yet: an error that says how; without `bake` the model stays outside, as ever."""
    script = "import os, pathlib\nout = pathlib.Path(os.environ['LADING_OUTPUTS'])\n"
    script += f"(out / 'model.onnx').write_bytes({doubling_model()!r})\n"
    (folder.root / "train.py").write_text(script)
    folder.write('[serve]\nmodel = "train"\nbake = true\n')
    refused = folder("build", "--target", "serve", exit_status=1)
    assert "no model of the task 'train' is sealed yet" in refused.stderr and "lading up" in refused.stderr
    folder("up")
    folder("stop", "project")
    assert "project@1 goes into the image" in folder("build", "--target", "serve").stderr
    assert "[3.0, 4.0]" in ask(folder)
    folder.write('[serve]\nmodel = "train"\n')
    assert "model" not in {layer["kind"] for layer in folder.build("--target", "serve").values()}
