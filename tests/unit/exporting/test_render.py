"""A plan as a Dockerfile: the base by digest, Python by sha256, whatever the combination."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lading.convert.exporting.dockerfile import render
from lading.convert.exporting.model import FRONTENDS, ExportInputs, Place
from lading.image.plan import PlanInputs, make_plan
from lading.image.spec import FilesLayer, PlannedFile
from lading.lock.model import (
    LockedBase,
    LockedBaseLayer,
    LockedInterpreter,
    LockedPackage,
    LockedVariant,
    LockedWheel,
    TargetSelection,
)
from lading.oci.digest import DiffId, Digest
from lading.project.model import ImageSettings

STANDALONE = LockedInterpreter(
    provider="standalone",
    version="3.12",
    build="cpython-3.12.1+1",
    executable="/opt/python/bin/python3.12",
    url="https://python.example/cpython-3.12.1.tar.gz",
    sha256="cd" * 32,
    size_bytes=1,
)
DEBIAN = LockedInterpreter(
    provider="debian", version="3.11", build="3.11.2-6", executable="/usr/bin/python3.11"
)
OF_BASE = LockedInterpreter(
    provider="base", version="3.12", build="3.12.1 of x", executable="/usr/local/bin/python3.12"
)
BASE = LockedBase(
    reference="docker.io/library/python:3.12-slim",
    digest=Digest("sha256:" + "12" * 32),
    layers=(
        LockedBaseLayer(
            digest=Digest("sha256:" + "34" * 32),
            diff_id=DiffId("sha256:" + "56" * 32),
            size_bytes=1,
            media_type="application/vnd.oci.image.layer.v1.tar+gzip",
        ),
    ),
    env={"PATH": "/usr/local/bin:/usr/bin", "GPG_KEY": "A0"},
    distribution="debian bookworm",
    glibc_minor=36,
    held={"torch": "2.8.0"},
    environment="/conda",
)


def package(name: str, role: str, suite: str = "trixie") -> LockedPackage:
    return LockedPackage(
        name=name,
        version="1",
        architecture="amd64",
        filename=f"pool/{name}_1_amd64.deb",
        sha256="ab" * 32,
        size_bytes=1,
        suite=suite,
        role=role,
    )


def inputs(
    interpreter: LockedInterpreter, *, base: LockedBase | None = None, flavour: str = "standard"
) -> ExportInputs:
    packages = [package("libgl1", "apt")]
    if base is None:
        packages.append(package("libc6", "base", "trixie-security"))
    if interpreter.provider == "debian":
        packages.append(package("python3.11", "interpreter"))
    wheel = LockedWheel(
        name="six", version="1.0", filename="six-1.0-py3-none-any.whl", sha256="ef" * 32, size_bytes=9
    )
    variant = LockedVariant(
        accelerator="cpu",
        platform="linux/amd64",
        interpreter=interpreter,
        packages=tuple(packages),
        wheels=(wheel,),
        targets={"train": TargetSelection(wheels=("six",), packages=tuple(p.name for p in packages))},
        base=base,
    )
    code = PlannedFile(
        path="app/main.py", mode=0o644, size_bytes=1, sha256="0" * 64, source="/host/p/main.py"
    )
    plan = make_plan(
        PlanInputs(
            project="p",
            target="train",
            tag="p:1",
            settings=ImageSettings(python="3.12", base="debian:trixie", flavour=flavour),
            variant=variant,
            code=FilesLayer(kind="code", title="code", files=(code,)),
            runtime=None,
            cmd=("python",),
        )
    )
    return ExportInputs(
        plan=plan, place=Place(folder="docker/train"), frontend=FRONTENDS["23.0"], base=base, root="/host/p"
    )


def test_a_registry_base_is_named_by_digest_and_keeps_its_environment() -> None:
    text = render(inputs(OF_BASE, base=BASE)).dockerfile
    assert f"FROM --platform=linux/amd64 python:3.12-slim@{BASE.digest} AS base" in text
    assert "ARG TOOLS_IMAGE=debian:trixie-slim" in text, "of the packages' suite"
    assert "PATH=/opt/venv/bin:/usr/local/bin:/usr/bin" in text
    assert "GPG_KEY" not in text, "the base has it"
    assert "ENTRYPOINT []" in text
    assert "--system-site-packages /opt/venv" in text
    assert (
        "echo /conda/lib/python3.12/site-packages > /opt/venv/lib/python3.12/site-packages/base.pth" in text
    )
    assert "rm -rf /var/log" not in text, "nothing of somebody else's base is removed"


@pytest.mark.parametrize("flavour", ["standard", "minimal"])
def test_a_standalone_python_is_fetched_by_sha256(flavour: str) -> None:
    text = render(inputs(STANDALONE, flavour=flavour)).dockerfile
    assert f"{STANDALONE.url} /tmp/python.tar SHA256:{STANDALONE.sha256}" in text
    workshop = "base" if flavour == "standard" else "configured"
    environment = text.partition(f"FROM {workshop} AS environment\n")[2].partition("\nFROM")[0]
    image = text.partition("FROM base\n")[2]
    assert ("COPY --from=python /opt/python" in environment) is (flavour == "minimal")
    assert ("\nRUN " in image) is False, "without a shell nothing runs in the image"


def test_a_minimal_root_gets_all_packages_at_once() -> None:
    files = {one.path: one.content for one in render(inputs(DEBIAN, flavour="minimal")).beside}
    listed = files["packages.txt"]
    assert isinstance(listed, bytes)
    assert {row.split()[0] for row in listed.decode().splitlines()} == {"/packages/system"}


def test_stages_are_named_before_they_are_used() -> None:
    """And every stage is used."""
    for one in (inputs(DEBIAN), inputs(STANDALONE, flavour="minimal"), inputs(OF_BASE, base=BASE)):
        named: set[str] = set()
        used: set[str] = set()
        for line in render(one).dockerfile.splitlines():
            used |= set(re.findall(r"(?:--from=|[, ]from=)([\w-]+)", line))
            if line.startswith("FROM "):
                used.add(line.split()[-3] if " AS " in line else line.split()[1])
                assert used - {"scratch", "${TOOLS_IMAGE}", f"python:3.12-slim@{BASE.digest}"} <= named
                named |= {line.split()[-1]} if " AS " in line else set()
        assert named <= used


def test_what_a_container_starts_is_said_whole() -> None:
    one = inputs(DEBIAN)
    check = {"Test": ["CMD", "curl", "a b"], "Interval": 1_500_000_000, "Retries": 2}
    plan = replace(one.plan, entrypoint=("serve", "x y"), cmd=(), stop_signal="SIGINT", healthcheck=check)
    lines = render(replace(one, plan=plan)).dockerfile.splitlines()
    assert lines[-4:] == [
        "USER 1000:1000",
        "STOPSIGNAL SIGINT",
        'HEALTHCHECK --interval=1.5s --retries=2 CMD ["curl","a b"]',
        'ENTRYPOINT ["serve","x y"]',
    ]


def test_the_tools_image_may_be_pinned() -> None:
    pinned = replace(inputs(DEBIAN), tools_image="debian:trixie-slim@sha256:" + "9" * 64)
    assert f"ARG TOOLS_IMAGE={pinned.tools_image}\n" in render(pinned).dockerfile
