"""What is left where namespaces are forbidden: in a real container with the default seccomp profile, as root
(chroot) and as an ordinary user (process), and at both levels outside one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_world import World, layer_of, program_archive, put_layer

from lading.store import Store
from services.process import Tool

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.network]
PATH = "/opt/venv/bin:/usr/bin:/bin"


@pytest.fixture(scope="module")
def archive() -> bytes:
    return program_archive()


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lading-engine-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def world_at(
    folder: Path, archive: bytes, venv: Path, *, uid: int = 0, prefix: tuple[str, ...] = (), level: str = ""
) -> World:
    base = put_layer(Store.open({"LADING_HOME": str(folder / "store")}), archive)
    for place in (folder, *folder.rglob("*")):
        os.chown(place, uid, uid, follow_symlinks=False)
    environment = {"LADING_EMBEDDED_LEVEL": level} if level else {}
    return World(
        python=venv / "python", prefix=prefix, uid=uid, folder=folder, base=base, environment=environment
    )


@pytest.fixture
def chroot(folder: Path, archive: bytes, readable_venv: Path) -> World:
    return world_at(folder, archive, readable_venv, level="chroot")


@pytest.fixture(params=["root", "user"])
def process(request: pytest.FixtureRequest, folder: Path, archive: bytes, readable_venv: Path) -> World:
    if request.param == "root":
        return world_at(folder, archive, readable_venv, level="process")
    prefix = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--bounding-set=-all")
    return world_at(folder, archive, readable_venv, uid=1000, prefix=prefix, level="process")


@pytest.fixture(scope="module")
def docker_image(docker: Tool, archive: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    name = f"lading-engine-{uuid.uuid4().hex[:8]}"
    path = tmp_path_factory.mktemp("image") / "root.tar"
    path.write_bytes(archive)
    docker("import", path, name)
    yield name
    docker("rmi", name)


@pytest.fixture(params=[0, 1000])
def contained(
    request: pytest.FixtureRequest,
    docker: Tool,
    docker_image: str,
    folder: Path,
    archive: bytes,
    readable_venv: Path,
) -> World:
    tests = Path(__file__).parent
    mounts = [f"--volume={place}:{place}" for place in (folder, readable_venv.parent.parent, tests)]
    passed = ("--env=LADING_HOME", "--env=HOST_SECRET", "--env=PYTHONDONTWRITEBYTECODE=1")
    prefix = (
        *docker.prefix,
        *("run", "--rm", "--network=none", f"--user={request.param}:{request.param}"),
        *passed,
        *mounts,
        docker_image,
    )
    return world_at(folder, archive, readable_venv, uid=request.param, prefix=prefix)


@pytest.mark.docker
def test_x12_under_default_seccomp_the_probe_says_level_reason_and_remedy(contained: World) -> None:
    answer = contained.perform(do="probe").answer
    assert answer["usable"]
    assert answer["level"] == ("process" if contained.uid else "chroot")
    assert "seccomp" in answer["reason"]
    assert "seccomp=unconfined" in answer["remedy"]


@pytest.mark.docker
def test_x12_under_default_seccomp_python_and_its_children_run(contained: World) -> None:
    script = (
        "import sys, subprocess, inside, sqlite3\n"
        "print('/opt/venv/lib/python' in inside.WHERE)\n"
        "print(subprocess.run([sys.executable, '-c', 'import inside, sys; print(sys.argv[1])', 'child'],"
        " capture_output=True, text=True).stdout)"
    )
    done = contained.run("python", "-c", script, env={"PATH": PATH})
    assert (done.exit_status, done.out.split()) == (0, ["True", "child"]), done
    assert done.answer["level"] == ("process" if contained.uid else "chroot")


@pytest.mark.docker
def test_x12_under_default_seccomp_a_run_with_mounts_reads_and_writes_them(contained: World) -> None:
    source = contained.shared("data")
    (source / "in").write_text("given")
    script = "import os; print(open(os.environ['D']+'/in').read()); open(os.environ['D']+'/out','w')"
    done = contained.run(
        "python", "-c", script, env={"PATH": PATH, "D": "/data"}, mounts=[(str(source), "/data", False)]
    )
    assert (done.exit_status, done.out) == (0, "given\n"), done
    assert done.answer["level"] == "process"
    assert (source / "out").stat().st_uid == contained.uid


def test_a_chroot_is_the_images_root_for_someone_without_rights(chroot: World) -> None:
    done = chroot.sh(
        "id -u; ls /; touch /etc/x /usr/bin/x; touch /tmp/ok && echo ok > /dev/null && echo fine"
    )
    assert done.out.split()[0] == "1000"
    assert done.out.split()[-1] == "fine"
    assert done.err.count("Permission denied") == 2
    assert done.answer["level"] == "chroot"


def test_root_in_a_chroot_is_nobody_and_keeps_no_capability(chroot: World) -> None:
    done = chroot.py(
        "import os\nprint(os.getuid(), os.getgid(), os.getgroups())\n"
        "calls = (lambda: os.chroot('/tmp'), lambda: os.setuid(0), lambda: os.mknod('/tmp/d', 0o60600, 1))\n"
        "for call in calls:\n"
        "  try: call(); print('done')\n"
        "  except PermissionError: print('refused')",
        user="0:0",
    )
    assert done.out.split("\n")[:4] == ["65534 65534 []", "refused", "refused", "refused"]


def test_a_run_with_mounts_takes_the_process_level_where_chroot_is_the_best(chroot: World) -> None:
    source = chroot.shared("data")
    done = chroot.run("true", mounts=[(str(source), "/data", False)])
    assert (done.exit_status, done.answer["level"]) == (0, "process")


def test_paths_of_image_mounts_and_working_folder_are_translated(process: World) -> None:
    inputs = process.shared("inputs")
    (inputs / "file").write_text("given")
    layers = [layer_of(process.store(), {"app/main.py": b"print('main'); open('made', 'w')"})]
    script = (
        "import os, sys\n"
        "print(sorted(os.listdir(os.environ['ALL'])), open(os.environ['ONE'] + '/file').read())\n"
        "print(open(sys.argv[1]).read(), sys.argv[2].endswith('/inputs/file'))\n"
        "home = os.path.expanduser('~'); open(home + '/x', 'w'); print(os.path.isdir(os.environ['TMPDIR']))\n"
        "sys.stdout.flush(); os.execvp('python3', ['python3', 'main.py'])"
    )
    done = process.run(
        *("python3", "-c", script, "/inputs/one/file", "--data=/inputs/one/file"),
        env={"PATH": PATH, "ALL": "/inputs", "ONE": "/inputs/one", "HOME": "/home/lading"},
        mounts=[(str(inputs), "/inputs/one", True)],
        layers=layers,
        working_dir="/app",
    )
    assert done.exit_status == 0, done
    assert done.out == "['one'] given\ngiven True\nTrue\nmain\n"
    assert process.scratch_folders() == []


def test_a_folder_asked_for_is_there_to_be_written_to_and_what_it_holds_is_told(process: World) -> None:
    layers = [layer_of(process.store(), {"app/main.py": b"open('models/best/x', 'w').write('made')"})]
    folders = ["/app/models/best", "/app/out"]
    done = process.run("python3", "main.py", folders=folders, layers=layers, working_dir="/app")
    assert (done.exit_status, done.answer["left_behind"]) == (0, ["models/best/x"]), done


def test_a_script_of_the_image_starts_through_the_images_interpreter(process: World) -> None:
    body = b"#!/opt/venv/bin/python\nimport inside, sys; print(sys.executable, sys.argv[1])\n"
    other = b"#!/usr/bin/env python3\nprint('env')\n"
    layers = [layer_of(process.store(), {"opt/venv/bin/tool": body, "usr/bin/other": other})]
    done = process.sh("tool one; other", layers=layers, env={"PATH": PATH})
    assert done.exit_status == 0, done
    place, word, env = done.out.split()
    assert place.endswith("/shadow/opt/venv/bin/python")
    assert (word, env) == ("one", "env")


def test_whatever_a_command_leaves_running_is_killed(process: World) -> None:
    mark = f"41{os.getpid()}"
    done = process.sh(f"sleep {mark} & sleep {mark} & exit 4")
    assert done.exit_status == 4
    commands = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if readable(p)]
    assert not [c for c in commands if mark.encode() in c]


def readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def test_x06_the_watchdog_holds_a_memory_limit_without_a_cgroup(process: World) -> None:
    script = "import time\nkept=[]\nwhile True:\n kept.append(bytearray(b'x')*(1<<22)); time.sleep(.01)"
    done = process.py(script, limits={"memory_bytes": 80 << 20})
    assert (done.exit_status, done.answer["out_of_memory"]) == (137, True)


def test_x13_kill_9_of_the_caller_ends_the_command(process: World) -> None:
    mark = f"42{os.getpid()}{process.uid}"
    command, environment, _ = process.job(do="attached", spec=process.spec(("sleep", mark)))
    child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    deadline = 1000
    while deadline and not running(mark):
        deadline -= 1
        signal.sigtimedwait([], 0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    while deadline and running(mark):
        deadline -= 1
        signal.sigtimedwait([], 0.02)
    assert deadline


def running(mark: str) -> bool:
    return any(mark.encode() in p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if readable(p))


def test_exec_enters_the_same_view(process: World) -> None:
    spec = process.spec(("sleep", "60"), env={"PATH": PATH, "INSIDE": "yes"})
    process.perform(do="submit", spec=spec)
    script = "echo $INSIDE; python -c 'import inside'"
    done = process.perform(do="exec", run_id=spec["run_id"], command=["sh", "-c", script])
    stopped = process.perform(do="stop", run_id=spec["run_id"], grace=2)
    assert (done.exit_status, done.out) == (0, "yes\n"), done
    assert stopped.answer["exit_status"] == 143
    assert json.dumps(stopped.answer)
