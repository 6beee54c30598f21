"""The plan: one global order, keys that say everything, prefixes that are shared."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lading.image.order import MAX_OWN_LAYERS, OWN_LAYER_BYTES, order_wheels
from lading.image.plan import Plan, PlanInputs, make_plan
from lading.image.spec import FilesLayer, PlannedFile
from lading.lock.model import (
    LockedCuda,
    LockedInterpreter,
    LockedPackage,
    LockedVariant,
    LockedWheel,
    TargetSelection,
)
from lading.project.model import HealthCheck, ImageSettings

sizes = st.integers(1, 2 << 30)
wheel_names = st.lists(
    st.from_regex(r"(nvidia-|cuda-)?[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,4})?", fullmatch=True),
    unique=True,
    max_size=90,
)


def wheel(name: str, size_bytes: int = 1000) -> LockedWheel:
    return LockedWheel(
        name=name,
        version="1.0",
        filename=f"{name.replace('-', '_')}-1.0-py3-none-any.whl",
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        size_bytes=size_bytes,
    )


@st.composite
def wheel_sets(draw: st.DrawFn) -> tuple[LockedWheel, ...]:
    return tuple(wheel(name, draw(sizes)) for name in draw(wheel_names))


def package(name: str, role: str) -> LockedPackage:
    return LockedPackage(
        name=name,
        version="1",
        architecture="amd64",
        filename=f"pool/{name}.deb",
        sha256="ab" * 32,
        size_bytes=1,
        suite="bookworm",
        role=role,
    )


def plan(
    wheels: tuple[LockedWheel, ...],
    *,
    code: str = "a" * 64,
    settings: ImageSettings | None = None,
    cuda: LockedCuda | None = None,
) -> Plan:
    interpreter = LockedInterpreter(
        provider="debian", version="3.11", build="3.11.2-6", executable="/usr/bin/python3.11"
    )
    packages = (package("libc6", "base"), package("libgl1", "apt"), package("python3.11", "interpreter"))
    selection = TargetSelection(
        wheels=tuple(w.name for w in wheels), packages=tuple(p.name for p in packages), cuda=cuda
    )
    variant = LockedVariant(
        accelerator="cpu",
        platform="linux/amd64",
        interpreter=interpreter,
        packages=packages,
        wheels=wheels,
        targets={"train": selection},
    )
    files = (PlannedFile(path="app/train.py", mode=0o644, size_bytes=1, sha256=code),)
    return make_plan(
        PlanInputs(
            project="p",
            target="train",
            tag="p:1",
            settings=settings or ImageSettings(python="3.11", base="debian:bookworm"),
            variant=variant,
            code=FilesLayer(kind="code", title="code", files=files),
            runtime=None,
            cmd=("python",),
        )
    )


@given(wheel_sets(), st.randoms())
def test_the_order_depends_on_the_wheels_alone(
    wheels: tuple[LockedWheel, ...], chance: random.Random
) -> None:
    shuffled = list(wheels)
    chance.shuffle(shuffled)
    assert order_wheels(tuple(shuffled)) == order_wheels(wheels)


@given(wheel_sets())
def test_every_wheel_is_in_exactly_one_layer(wheels: tuple[LockedWheel, ...]) -> None:
    order = order_wheels(wheels)
    assert sorted(w.name for w in (*order.own, *order.tail)) == sorted(w.name for w in wheels)
    assert len(order.own) <= MAX_OWN_LAYERS
    assert all(w.size_bytes >= OWN_LAYER_BYTES for w in order.own)


@given(wheel_sets())
def test_a_small_wheel_more_leaves_all_own_layers_where_they_are(wheels: tuple[LockedWheel, ...]) -> None:
    """One more dependency moves no torch: engines share the whole prefix."""
    more = (*wheels, wheel("zz-small-addition", 5000))
    assert order_wheels(more).own == order_wheels(wheels).own


def test_cuda_comes_before_torch_and_torch_before_the_rest() -> None:
    order = order_wheels((wheel("scipy", 1 << 30), wheel("torch", 1 << 28), wheel("nvidia-cublas", 1 << 22)))
    assert [w.name for w in order.own] == ["nvidia-cublas", "torch", "scipy"]


def test_a_code_edit_changes_the_last_layer_alone() -> None:
    wheels = (wheel("torch", 1 << 28), wheel("idna"))
    before, after = plan(wheels), plan(wheels, code="b" * 64)
    assert [s.key for s in before.layers[:-1]] == [s.key for s in after.layers[:-1]]
    assert before.layers[-1].key != after.layers[-1].key


def test_layers_stand_in_the_global_order() -> None:
    kinds = [spec.kind for spec in plan((wheel("torch", 1 << 28), wheel("idna"))).layers]
    assert kinds == [
        "base", "interpreter", "venv", "wheel", "tail", "bytecode", "bytecode", "apt", "code",
    ]  # fmt: skip


def test_without_bytecode_no_other_layer_changes() -> None:
    wheels = (wheel("torch", 1 << 28), wheel("idna"))
    settings = ImageSettings(python="3.11", base="debian:bookworm", bytecode=False)
    bare = {spec.key for spec in plan(wheels, settings=settings).layers}
    full = {spec.key for spec in plan(wheels).layers if spec.kind != "bytecode"}
    assert bare == full


def test_every_term_of_a_spec_is_in_its_key() -> None:
    """Another wheel, another file name, another Python, another leniency: another key."""
    spec = plan((wheel("torch", 1 << 28),)).layers[3]
    others = [
        replace(spec, wheels=(wheel("jax", 1 << 28),)),
        replace(spec, python_version="3.12"),
        replace(spec, lenient=frozenset({"torch"})),
        replace(spec, kind="tail"),
    ]
    assert len({spec.key, *(other.key for other in others)}) == 5
    assert replace(spec, title="another title").key == spec.key


def test_a_cuda_image_says_what_it_asks_of_a_host_and_a_cpu_image_nothing() -> None:
    """The labels are for schedulers and people, the variables for NVIDIA's container toolkit; the constraint
    is of the major version, since a driver that knows it runs every release of it."""
    cuda = LockedCuda(version="12.8", driver="525", capabilities=("8.0", "9.0"))
    made, plain = plan((), cuda=cuda), plan(())
    assert dict(made.labels) == {
        "dev.lading.cuda": "12.8",
        "dev.lading.cuda.driver-floor": "525",
        "dev.lading.cuda.capabilities": "8.0 9.0",
    }
    assert {name: value for name, value in made.env if name.startswith("NVIDIA_")} == {
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_REQUIRE_CUDA": "cuda>=12.0",
    }
    assert [spec.key for spec in made.layers] == [spec.key for spec in plain.layers]
    assert (dict(plain.labels), [name for name, _ in plain.env if "NVIDIA" in name]) == ({}, [])


def test_what_the_project_writes_about_gpus_is_kept() -> None:
    settings = ImageSettings(
        python="3.11",
        base="debian:bookworm",
        env={"NVIDIA_VISIBLE_DEVICES": "none"},
        labels={"dev.lading.cuda": "x"},
    )
    made = plan((), settings=settings, cuda=LockedCuda(version="12.8", driver="525"))
    assert (dict(made.env)["NVIDIA_VISIBLE_DEVICES"], made.labels["dev.lading.cuda"]) == ("none", "x")


def test_what_a_container_starts_is_the_target_s_own_until_it_is_written() -> None:
    """An entrypoint without a command starts as it is, as with Docker."""
    base = ImageSettings(python="3.11", base="debian:bookworm")
    plain = plan((), settings=base)
    assert (plain.entrypoint, plain.cmd, plain.working_dir) == ((), ("python",), "/app")
    written = replace(base, entrypoint=("tool",), workdir="/srv", ports=("8000/tcp",), stop_signal="SIGINT")
    made = plan((), settings=written)
    assert (made.entrypoint, made.cmd, made.working_dir) == (("tool",), (), "/srv")
    assert (made.exposed_ports, made.stop_signal) == (("8000/tcp",), "SIGINT")
    assert plan((), settings=replace(written, command=("a", "a"))).cmd == ("a", "a")
    assert [spec.key for spec in made.layers] == [spec.key for spec in plain.layers]


def test_a_health_check_is_in_docker_s_words() -> None:
    check = HealthCheck(command=("true",), interval_seconds=1.5, retries=2)
    made = plan((), settings=ImageSettings(python="3.11", base="debian:bookworm", healthcheck=check))
    assert made.healthcheck == {"Test": ["CMD", "true"], "Interval": 1_500_000_000, "Retries": 2}
