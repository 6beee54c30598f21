"""The stages that fetch: a Debian with uv in it, and what it brings from mirrors and URLs. Pure.

Nothing of these stages is in the image. What they bring is named by sha256 and checked, so the image does not
depend on which Debian they are, nor on the mirror.
"""

from __future__ import annotations

from collections.abc import Iterable

from lading.convert.exporting.model import ExportInputs
from lading.convert.exporting.words import copy, run
from lading.image.spec import AddedPackagesLayer, PackagesLayer
from lading.lock.model import LockedInterpreter, LockedPackage

TOOLS = "tools"
UV = "/opt/tools/bin/uv"
UV_LIST = "uv.txt"
PACKAGE_LIST = "packages.txt"
SYSTEM_PACKAGES = "/packages/system"
APT_PACKAGES = "/packages/apt"

CA = "type=secret,id=ca"
"""A bundle of certificate authorities, for hosts behind a proxy that has its own."""
_APT_CACHES = (
    "type=cache,target=/var/cache/apt,sharing=locked",
    "type=cache,target=/var/lib/apt/lists,sharing=locked",
)
_APT_SECRETS = (
    "type=secret,id=apt_auth,target=/etc/apt/auth.conf.d/build.conf",
    CA,
)
_PIP_SECRETS = (
    "type=secret,id=netrc,target=/root/.netrc",
    "type=secret,id=pip,target=/etc/pip.conf",
)
UV_SECRETS = (
    "type=secret,id=netrc,target=/root/.netrc",
    "type=secret,id=uv,target=/etc/uv/uv.toml",
    CA,
)
TRUST_CA = "if [ -f /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi"
_APT_SETTINGS = """
{
    echo 'APT::Sandbox::User "root";';
    [ ! -f /run/secrets/ca ] || echo 'Acquire::https::CAInfo "/run/secrets/ca";';
    [ -z "$DEBIAN_MIRROR" ] || echo 'Acquire::Check-Valid-Until "false";';
} > /etc/apt/apt.conf.d/tools
"""
_APT_SOURCES = """
if [ -n "$DEBIAN_MIRROR" ]; then
    rm -f /etc/apt/sources.list.d/*;
    echo "deb $DEBIAN_MIRROR $VERSION_CODENAME main" > /etc/apt/sources.list;
    [ -z "$DEBIAN_SECURITY_MIRROR" ] ||
        echo "deb $DEBIAN_SECURITY_MIRROR $VERSION_CODENAME-security main" >> /etc/apt/sources.list;
fi
"""
_MIRRORS = """
apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' > /opt/sources
"""
_FETCH = """
while read -r folder sha256 suite file; do
    if [ -f "/cache/$sha256.deb" ]; then continue; fi;
    case "$suite" in *-security) from="$security" ;; *) from="$archive" ;; esac;
    set -- "$@" "${from:?no mirror has $suite}/$file" "/cache/$sha256.part" "SHA256:$sha256";
done < /tmp/packages.txt
"""
_TAKE = """
while read -r folder sha256 suite file; do
    if [ -f "/cache/$sha256.part" ]; then mv "/cache/$sha256.part" "/cache/$sha256.deb"; fi;
    mkdir -p "$folder";
    cp "/cache/$sha256.deb" "$folder/${file##*/}";
    echo "$sha256  $folder/${file##*/}";
done < /tmp/packages.txt > /tmp/sums
"""
COMPILE = "PYTHONHASHSEED=0 {python} -B -m compileall -q -j 0 --invalidation-mode unchecked-hash"
"""As the image's other bytecode is."""
_FETCH_FILES = "/usr/lib/apt/apt-helper download-file"


def tools_image(inputs: ExportInputs) -> str:
    """Debian's slim image of the suite that the image is made of."""
    if inputs.tools_image is not None:
        return inputs.tools_image
    suites = {
        package.suite.partition("-")[0]
        for spec in inputs.plan.layers
        if isinstance(spec, PackagesLayer | AddedPackagesLayer)
        for package in spec.packages
    }
    if len(suites) == 1:
        return f"debian:{suites.pop()}-slim"
    said = inputs.base.distribution.split() if inputs.base is not None else []
    if len(said) == 2 and said[0] == "debian":
        return f"debian:{said[1]}-slim"
    return "debian:stable-slim"


def tools_stage(inputs: ExportInputs) -> list[str]:
    """The stage that all others borrow programs from."""
    updated = (
        TRUST_CA,
        ". /etc/os-release",
        _APT_SETTINGS,
        _APT_SOURCES,
        "rm -f /etc/apt/apt.conf.d/docker-clean",
        "apt-get update",
        "apt-get install -y --no-install-recommends ca-certificates python3-venv",
        _MIRRORS,
        "python3 -m venv /opt/tools",
        "/opt/tools/bin/pip install --disable-pip-version-check --no-deps --require-hashes -r /tmp/uv.txt",
    )
    mounts = (*_APT_CACHES, "type=cache,target=/root/.cache/pip", *_APT_SECRETS, *_PIP_SECRETS)
    return [
        "# What fetches and installs. Nothing of it is in the image.",
        f"FROM --platform={inputs.plan.platform} ${{TOOLS_IMAGE}} AS {TOOLS}",
        "ARG DEBIAN_MIRROR",
        "ARG DEBIAN_SECURITY_MIRROR",
        "ARG PIP_INDEX_URL",
        "ARG PIP_EXTRA_INDEX_URL",
        "ARG PIP_TRUSTED_HOST",
        copy(inputs.place.path(UV_LIST), "/tmp/uv.txt"),
        run(updated, mounts),
    ]


def package_list(groups: Iterable[tuple[str, tuple[LockedPackage, ...]]]) -> str:
    """Folder, sha256, suite and file of each package, apart by spaces."""
    lines = [
        f"{folder} {package.sha256} {package.suite} {package.filename}\n"
        for folder, packages in groups
        for package in sorted(packages, key=lambda one: one.name)
    ]
    return "".join(lines)


def packages_stage(inputs: ExportInputs) -> list[str]:
    """The stage `packages`: every locked Debian package as a file, each checked."""
    fetched = (
        ". /etc/os-release",
        """archive=$(sed -n "s,/*$,,; s,^$VERSION_CODENAME ,,p" /opt/sources | head -n 1)""",
        """security=$(sed -n "s,/*$,,; s,^$VERSION_CODENAME-security ,,p" /opt/sources | head -n 1)""",
        "set --",
        _FETCH,
        f'if [ $# -gt 0 ]; then {_FETCH_FILES} "$@"; fi',
        _TAKE,
        "sha256sum --quiet --check /tmp/sums",
    )
    mounts = ("type=cache,id=debian-packages,target=/cache,sharing=locked", *_APT_SECRETS)
    return [
        "# Debian's packages, in the very versions of the lock.",
        f"FROM {TOOLS} AS packages",
        copy(inputs.place.path(PACKAGE_LIST), "/tmp/packages.txt"),
        run(fetched, mounts),
    ]


def fetched_file(url: str, sha256: str, target: str) -> list[str]:
    """Shell commands that leave what `url` names at `target`, checked."""
    return [
        f'mkdir -p "$(dirname {target})"',
        f"{_FETCH_FILES} {url} {target} SHA256:{sha256}",
        f"echo '{sha256}  {target}' | sha256sum --quiet --check",
    ]


def standalone_stage(interpreter: LockedInterpreter) -> list[str]:
    """The stage `python`: a standalone build under /opt/python, modes as in the image."""
    assert interpreter.url is not None and interpreter.sha256 is not None
    library = f"/opt/python/lib/python{interpreter.version}"
    commands = [
        *fetched_file(interpreter.url, interpreter.sha256, "/tmp/python.tar"),
        "tar -x -f /tmp/python.tar -C /opt --no-same-owner",
        "find /opt/python -name __pycache__ -prune -exec rm -rf {} +",
        "chmod -R u=rwX,go=rX /opt/python",
        f"{COMPILE.format(python=interpreter.executable)} {library} || true",
    ]
    return ["# Python itself.", f"FROM {TOOLS} AS python", run(commands, [CA])]
