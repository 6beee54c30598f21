"""The namespaces level, as root and as an ordinary user: what a container sees, may do, and leaves behind.

Names carry the case of the catalogue they show (X01 … X16).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_world import World, layer_of, program_archive, put_layer

from lading.store import Store
from services.process import require

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.network]


@pytest.fixture(scope="module")
def archive() -> bytes:
    return program_archive()


@pytest.fixture(scope="module", params=["root", "user"])
def world(request: pytest.FixtureRequest, archive: bytes, readable_venv: Path) -> Iterator[World]:
    uid = 0 if request.param == "root" else 1000
    folder = Path(tempfile.mkdtemp(prefix="lading-engine-"))
    folder.chmod(0o755)
    store = Store.open({"LADING_HOME": str(folder / "store")})
    base = put_layer(store, archive)
    switch: tuple[str, ...] = ()
    if uid:
        for place in (folder, *folder.rglob("*")):
            os.chown(place, uid, uid, follow_symlinks=False)
        ids = (f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
        switch = (require("setpriv", "util-linux"), *ids, "--inh-caps=-all", "--bounding-set=-all")
    yield World(python=readable_venv / "python", prefix=switch, uid=uid, folder=folder, base=base)
    shutil.rmtree(folder)


def test_the_probe_finds_namespaces(world: World) -> None:
    answer = world.perform(do="probe").answer
    assert (answer["usable"], answer["level"], answer["reason"]) == (True, "namespaces", None)


def test_a_command_runs_in_the_images_root_as_the_images_user(world: World) -> None:
    done = world.sh("id -u; id -g; readlink /proc/self; hostname; ls /opt")
    assert done.exit_status == 0
    assert done.out.split()[:2] == ["1000", "1000"]
    assert done.out.split()[3:] == ["lading", "venv"]
    assert done.answer["level"] == "namespaces"


def test_the_childs_exit_code_is_ours_and_a_signal_is_128_and_its_number(world: World) -> None:
    assert world.sh("exit 43").exit_status == 43
    assert world.sh("kill -TERM $$").exit_status == 143


def test_a_command_that_is_not_there_is_127_and_one_that_cannot_run_126(world: World) -> None:
    missing = world.run("no-such-program")
    assert missing.exit_status == 127
    assert "no-such-program" in missing.err
    assert world.run("/etc/passwd").exit_status == 126


def test_x01_a_working_folder_of_the_kernel_is_refused(world: World) -> None:
    for folder in ("/proc/self/fd/8", "/proc/../proc/self/fd/7", "relative"):
        assert "working folder" in world.run("true", working_dir=folder).answer["error"]


def test_x01_a_link_to_an_open_descriptor_does_not_lead_out(world: World) -> None:
    layers = [layer_of(world.store(), {"out": "/proc/self/fd"})]
    for number in range(3, 10):
        done = world.sh("ls -a; cat etc/hostname", layers=layers, working_dir=f"/out/{number}")
        assert "error" in done.answer or "root" not in done.out.split()


def test_x02_links_in_place_of_kernel_folders_are_refused_or_stay_inside(world: World) -> None:
    for name in ("proc", "dev", "sys"):
        layers = [layer_of(world.store(), {name: "/tmp"})] if name != "proc" else []
        if layers:
            assert f"/{name}" in world.run("true", layers=layers).answer["error"]
    target = world.shared(f"x02-{world.uid}")
    (target / "passwd").write_text("host")
    layers = [layer_of(world.store(), {"etc/hosts": str(target / "passwd")})]
    assert world.run("true", layers=layers).exit_status == 0
    assert (target / "passwd").read_text() == "host"


def test_x03_a_mount_target_behind_a_link_stays_in_the_root(world: World) -> None:
    source = world.shared("x03-source")
    (source / "here").write_text("mounted")
    outside = world.shared("x03-outside")
    links = {"data": "../../../../../../../.." + str(outside), "deep": str(outside)}
    layers = [layer_of(world.store(), dict(links))]
    for target in ("/data", "/deep/inner"):
        done = world.sh(f"cat {target}/here", layers=layers, mounts=[(str(source), target, False)])
        assert done.out == "mounted"
    assert list(outside.iterdir()) == []


def test_x04_a_set_uid_program_gains_nothing(world: World) -> None:
    layers = [layer_of(world.store(), {"usr/bin/raised": Path("/usr/bin/id").read_bytes()}, mode=0o6755)]
    done = world.sh("raised -u; stat -c %a /usr/bin/raised; cat /proc/self/status", layers=layers)
    assert done.out.split()[:2] == ["1000", "755"]
    facts = dict(line.split(":\t") for line in done.out.splitlines() if ":\t" in line)
    assert facts["NoNewPrivs"] == "1"
    assert {int(facts[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")} == {0}


def test_x05_a_fork_bomb_meets_the_limit_and_dies_with_the_container(world: World) -> None:
    script = (
        "import os,time\nmade=0\n"
        "try:\n"
        "  while made < 400:\n"
        "    if os.fork() == 0:\n"
        "      time.sleep(60); os._exit(0)\n"
        "    made += 1\n"
        "except BlockingIOError: pass\n"
        "print(made)"
    )
    done = world.py(script, limits={"pids": 20})
    assert done.exit_status == 0, done
    assert int(done.out) < 40
    assert done.answer["enforced_by"]["pids"] in ("cgroup", "rlimit")


def test_x06_a_memory_limit_ends_in_137_and_says_so(world: World) -> None:
    script = "import time\nkept=[]\nwhile True:\n kept.append(bytearray(b'x')*(1<<22)); time.sleep(.005)"
    done = world.py(script, limits={"memory_bytes": 80 << 20})
    assert done.exit_status == 137
    assert done.answer["out_of_memory"] is True
    assert done.answer["enforced_by"]["memory"] in ("cgroup", "watchdog")
    assert done.answer["peak_memory_bytes"] > 40 << 20


def test_x07_only_the_three_standard_descriptors_are_open(world: World) -> None:
    done = world.py("import os; print(sorted(os.listdir('/proc/self/fd')))")
    assert done.out.strip() == "['0', '1', '2', '3']"  # 3 is the listing itself


def test_x08_the_environment_is_exactly_what_was_asked(world: World) -> None:
    done = world.run("env", env={"PATH": "/usr/bin", "A": "1"}, secrets={"TOKEN": "s3"})
    assert sorted(done.out.splitlines()) == ["A=1", "PATH=/usr/bin", "TOKEN=s3"]


def test_x08_neither_callers_environment_nor_memory_can_be_read_from_inside(world: World) -> None:
    done = world.sh("cat /proc/1/environ; cat /proc/1/maps; exit 0")
    assert "hunter2" not in done.out
    assert "Permission denied" in done.err


def test_x09_there_is_only_a_loopback_of_its_own(world: World) -> None:
    done = world.py(
        "import os,socket\n"
        "print(sorted(os.listdir('/sys/class/net')))\n"
        "s=socket.socket(); s.bind(('127.0.0.1',0)); s.listen()\n"
        "c=socket.create_connection(s.getsockname()); print('loopback')\n"
        "try: socket.create_connection(('192.0.2.1',9),1)\n"
        "except OSError as e: print(e.errno)\n"
    )
    interfaces, loopback, number = done.out.splitlines()
    assert "eth0" not in interfaces
    assert "'lo'" in interfaces
    assert (loopback, number) == ("loopback", "101")


def test_x09_the_host_network_is_there_when_asked(world: World) -> None:
    done = world.py("import socket; print([n for _, n in socket.if_nameindex()])", network=True)
    assert done.out.strip() == str([name for _, name in __import__("socket").if_nameindex()])


def test_x10_a_read_only_root_cannot_be_written_but_tmp_can(world: World) -> None:
    done = world.sh(
        "touch /etc/x; touch /tmp/y && echo tmp; touch /dev/shm/z && echo shm", read_only_root=True
    )
    assert done.out.split() == ["tmp", "shm"]
    assert "Read-only file system" in done.err


def test_a_folder_asked_for_is_there_to_be_written_to_and_what_it_holds_is_told(world: World) -> None:
    layers = [layer_of(world.store(), {"app/main.py": b"open('models/best/x', 'w').write('made')"})]
    folders = ["/app/models/best", "/app/out"]
    done = world.run("python3", "main.py", folders=folders, layers=layers, working_dir="/app")
    assert (done.exit_status, done.answer["left_behind"]) == (0, ["models/best/x"]), done


def test_x10_a_read_only_mount_is_read_only_with_all_below_it(world: World) -> None:
    source = world.shared("x10")
    (source / "file").write_text("kept")
    os.chown(source / "file", world.uid, world.uid)
    mounts = [(str(source), "/data", True)]
    done = world.sh("cat /data/file; touch /data/file; rm /data/file; echo more >> /data/file", mounts=mounts)
    assert done.out == "kept"
    assert done.err.count("Read-only file system") == 3
    assert (source / "file").read_text() == "kept"


def test_x11_another_user_than_the_one_mapped_does_not_exist(world: World) -> None:
    done = world.py(
        "import os\nopen('/tmp/f','w')\n"
        "try: os.chown('/tmp/f', 12345, 12345)\n"
        "except OSError as e: print(e.errno)\n"
        "print(os.stat('/proc/sys').st_uid)"
    )
    assert done.out.split() == ["22", "65534"] or done.out.split()[0] in ("1", "22")


def test_files_written_to_a_mount_belong_to_the_caller(world: World) -> None:
    for user in ("1000:1000", "0:0", "4294967294", "lading"):
        source = world.shared(f"owned-{user.replace(':', '-')}")
        done = world.sh(
            "echo > /out/file; mkdir /out/folder", user=user, mounts=[(str(source), "/out", False)]
        )
        assert done.exit_status == 0
        assert {path.stat().st_uid for path in source.iterdir()} == {world.uid}


def test_a_mounted_file_is_a_file(world: World) -> None:
    source = world.shared("single")
    (source / "model").write_text("weights")
    done = world.sh("cat /models/m", mounts=[(str(source / "model"), "/models/m", True)])
    assert done.out == "weights"


def test_a_tmpfs_and_shared_memory_have_the_size_asked(world: World) -> None:
    done = world.sh(
        "df -B1 --output=size /scratch /dev/shm", tmpfs={"/scratch": 1 << 20}, limits={"shm_bytes": 2 << 20}
    )
    assert [int(size) for size in done.out.split()[1:]] == [1 << 20, 2 << 20]


def test_the_images_files_stay_as_they_are(world: World) -> None:
    assert world.sh("echo changed > /etc/passwd; rm /usr/bin/true; cat /etc/passwd").out == "changed\n"
    assert "lading" in world.sh("true && cat /etc/passwd").out


@pytest.mark.parametrize("user", ["intruder", "../etc", "1000:no", "-1", "4294967295", "1e3", "0x0"])
def test_x14_a_user_that_is_not_plainly_there_is_refused(world: World, user: str) -> None:
    hostile = "intruder:x:99999999999:0::/:\nintruder:x:-5:0::/:\nintruder:x:0\n:x:0:0::/:\n"
    layers = [layer_of(world.store(), {"etc/passwd": hostile.encode()}, mode=0o644)]
    assert "the image has no" in world.run("true", user=user, layers=layers).answer["error"]


def test_x16_nothing_of_the_image_runs_outside_it(world: World) -> None:
    trace = world.shared("x16")
    script = f"#!/bin/sh\ntouch {trace}/ran\n".encode()
    members: dict[str, bytes | str] = {
        "etc/ld.so.preload": b"/evil.so\n",
        "usr/share/containers/oci/hooks.d/h.json": b"{}",
        "usr/bin/newuidmap": script,
        "usr/sbin/runc": script,
    }
    assert world.run("true", layers=[layer_of(world.store(), members)]).exit_status == 0
    assert list(trace.iterdir()) == []


def test_orphans_are_reaped_and_die_with_the_container(world: World) -> None:
    done = world.py(
        "import os,time\n"
        "for n in range(20):\n"
        "  if os.fork()==0:\n"
        "    if os.fork()==0: os._exit(0)\n"
        "    os._exit(0)\n"
        "  os.wait()\n"
        "time.sleep(.3)\n"
        "states=[open(f'/proc/{p}/stat').read().split()[2] for p in os.listdir('/proc') if p.isdigit()]\n"
        "print(states.count('Z'))"
    )
    assert done.out == "0\n"


def test_cpu_limits_are_held_and_say_by_what(world: World) -> None:
    done = world.run("true", limits={"cpus": 1.0})
    assert done.answer["enforced_by"]["cpus"] in ("cgroup", "affinity")


def test_a_timeout_stops_with_grace_then_by_force(world: World) -> None:
    polite = world.sh("trap 'exit 7' TERM; sleep 60 & wait", limits={"timeout_seconds": 0.3})
    assert (polite.exit_status, polite.answer["timed_out"]) == (7, True)
    stubborn = world.sh("trap '' TERM; sleep 60", limits={"timeout_seconds": 0.3}, grace_seconds=0.3)
    assert (stubborn.exit_status, stubborn.answer["timed_out"]) == (137, True)


def test_nothing_is_left_after_a_run(world: World) -> None:
    before = mounts_and_scratch(world)
    assert world.sh("echo > /big; mkdir -p /a/b; chmod 0 /a/b").exit_status == 0
    assert mounts_and_scratch(world) == before


def mounts_and_scratch(world: World) -> tuple[int, list[str]]:
    return len(Path("/proc/self/mountinfo").read_text().splitlines()), world.scratch_folders()


def test_x13_kill_9_of_the_caller_ends_the_container_and_the_next_run_sweeps(world: World) -> None:
    mark = f"31{os.getpid()}{world.uid}"
    command, environment, _ = world.job(do="attached", spec=world.spec(("sleep", mark)))
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    wait_for(lambda: running(mark))
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not running(mark))
    assert len(world.scratch_folders()) == 1
    assert world.run("true").exit_status == 0
    assert world.scratch_folders() == []


def test_x13_kill_9_of_the_supervisor_ends_a_detached_run(world: World) -> None:
    mark = f"32{os.getpid()}{world.uid}"
    spec = world.spec(("sleep", mark))
    world.perform(do="submit", spec=spec)
    state = json.loads((world.home / "containers" / spec["run_id"] / "state.json").read_text())
    assert running(mark)
    os.kill(state["supervisor"], signal.SIGKILL)
    wait_for(lambda: not running(mark))
    wait_for(lambda: world.perform(do="observe", run_id=spec["run_id"]).answer["state"] == "lost")


def running(mark: str) -> bool:
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")[1:2] == [
                mark.encode()
            ]:
                return True
    return False


def wait_for(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not happen in 20 s"
        time.sleep(0.02)


def test_a_detached_run_is_started_once_and_can_be_watched_and_stopped(world: World) -> None:
    spec = world.spec(("sh", "-c", "echo begin; trap 'echo bye; exit 3' TERM; sleep 60 & wait"))
    first = world.perform(do="submit", spec=spec).answer["handle"]
    assert world.perform(do="submit", spec=spec).answer["handle"] == first
    run = {"run_id": spec["run_id"]}
    assert world.perform(do="observe", **run).answer["state"] == "running"
    wait_for(lambda: (world.home / "containers" / spec["run_id"] / "log").read_text() == "begin\n")
    assert world.perform(do="stop", **run).answer["exit_status"] == 3
    assert world.perform(do="stop", **run).answer["exit_status"] == 3
    assert world.perform(do="logs", **run).answer["log"] == "begin\nbye\n"
    assert world.perform(do="logs", after=6, **run).answer["log"] == "bye\n"
    assert spec["run_id"] not in world.scratch_folders()


def test_exec_joins_a_running_container_and_gains_no_right(world: World) -> None:
    spec = world.spec(("sleep", "60"), env={"PATH": "/usr/bin", "INSIDE": "yes"}, secrets={"KEY": "s3"})
    world.perform(do="submit", spec=spec)
    script = "echo $INSIDE$KEY; id -u; hostname; cat /proc/self/status"
    done = world.perform(do="exec", run_id=spec["run_id"], command=["sh", "-c", script + "; exit 5"])
    world.perform(do="stop", run_id=spec["run_id"], grace=0)
    assert done.exit_status == 5
    assert done.out.split()[:3] == ["yes", "1000", "lading"]
    assert "CapEff:\t0000000000000000" in done.out
    gone = world.perform(do="exec", run_id=spec["run_id"], command=["true"])
    assert "not running" in gone.answer["error"]


def test_secrets_are_never_written(world: World) -> None:
    spec = world.spec(("true",), secrets={"TOKEN": "very-secret-value"})
    world.perform(do="submit", spec=spec)
    world.perform(do="wait", run_id=spec["run_id"])
    for path in (world.home / "containers").rglob("*"):
        assert path.is_dir() or b"very-secret-value" not in path.read_bytes()


def test_a_hundred_layers_are_one_root_and_the_upper_wins(world: World) -> None:
    store = world.store()
    layers = [layer_of(store, {"same": str(n), f"only/{n}": b"x"}) for n in range(100)]
    done = world.sh("readlink /same; ls /only", layers=layers)
    assert done.out.split()[0] == "99"
    assert len(done.out.split()) == 101


def test_whiteouts_and_opaque_folders_hide_lower_files(world: World) -> None:
    store = world.store()
    layers = [
        layer_of(store, {"d/a": b"", "d/b": b"", "e/a": b""}),
        layer_of(store, {"d/.wh.a": b"", "e/.wh..wh..opq": b"", "e/c": b""}),
    ]
    assert world.sh("ls /d /e", layers=layers).out.split() == ["/d:", "b", "/e:", "c"]


def on_a_terminal(world: World, keys: bytes, **job: object) -> bytes:
    """What a driver on a terminal of its own shows when `keys` are typed."""
    command, environment, answer = world.job(**job)
    master, slave = os.openpty()
    process = subprocess.Popen(command, env=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(master, keys)
    seen = b""
    with contextlib.suppress(OSError):
        while data := os.read(master, 1000):
            seen += data
    process.wait()
    os.close(master)
    assert answer.exists(), seen
    return seen


ASK = "import os; print(os.ttyname(0), os.isatty(1), input())"


def test_a_terminal_is_one_inside_and_passes_keys(world: World) -> None:
    spec = world.spec(("python3", "-c", ASK), terminal=True)
    assert b"/dev/pts/0 True keys" in on_a_terminal(world, b"keys\n", do="attached", spec=spec)


def test_exec_has_a_terminal_when_asked(world: World) -> None:
    spec = world.spec(("sleep", "60"))
    world.perform(do="submit", spec=spec)
    job = {"do": "exec", "run_id": spec["run_id"], "command": ["python3", "-c", ASK], "terminal": True}
    seen = on_a_terminal(world, b"keys\n", **job)
    world.perform(do="stop", run_id=spec["run_id"], grace=0)
    assert b"/dev/pts/0 True keys" in seen


def test_ctrl_c_at_the_callers_terminal_interrupts_the_command_inside(world: World) -> None:
    script = (
        "import time\ntry:\n  print('waiting', flush=True)\n  time.sleep(60)\n"
        "except KeyboardInterrupt: print('caught')"
    )
    command, environment, answer = world.job(
        do="attached", spec=world.spec(("python3", "-c", script), terminal=True)
    )
    master, slave = os.openpty()
    process = subprocess.Popen(command, env=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    with contextlib.suppress(OSError):
        while data := os.read(master, 1000):
            if b"waiting" in data:
                os.write(master, b"\x03")
            seen += data
    process.wait()
    os.close(master)
    assert b"caught" in seen
    assert json.loads(answer.read_text())["exit_status"] == 0
