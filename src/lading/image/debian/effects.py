"""What maintainer scripts would have done on a fresh installation, done without running them.

A base without scripts is a list of effects. Each package whose scripts hold more than generated sections
stands in this table with the reason why it may be unpacked: a handler makes its effect, or there is none in
an image. A package that is not here and does something unknown is named and refused.

Pure: works on a Root. The oracle is the difference to a root that `mmdebstrap` made of the same packages
(tests/integration/test_debian_oracle.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lading.errors import PackageRefused
from lading.image.debian.alternatives import apply_alternatives
from lading.image.debian.certificates import write_certificates
from lading.image.debian.database import add_diversion
from lading.image.debian.files import (
    write_apt_sources,
    write_base_files,
    write_dash,
    write_fontconfig,
    write_hosts,
    write_inputrc,
    write_login,
    write_nsswitch,
    write_pam_modules,
    write_python,
    write_python_minimal,
    write_shells,
    write_timezone,
)
from lading.image.debian.package import OpenedPackage
from lading.image.debian.pam import write_pam_stacks
from lading.image.debian.root import Root
from lading.image.debian.scripts import Choice, alternatives_of, read_script

Handler = Callable[[Root, OpenedPackage], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Why the scripts of the packages named by `pattern` need not run."""

    pattern: str
    """A regular expression for the whole package name."""
    reason: str
    handler: Handler | None = None


def _certificates(root: Root, package: OpenedPackage) -> None:
    write_certificates(root)


def _dash(root: Root, package: OpenedPackage) -> None:
    write_dash(root)
    if "--package dash --no-rename --divert $distrib --add" in (package.script("postinst") or ""):
        for path, diverted in (
            ("/usr/share/man/man1/sh.1.gz", "/usr/share/man/man1/sh.distrib.1.gz"),
            ("/bin/sh", "/bin/sh.distrib"),
        ):
            add_diversion(root, path, diverted, "dash")


EFFECTS = (
    Effect(pattern="adduser", reason="preinst acts on upgrades only"),
    Effect(pattern="apt", reason="its user is base-passwd's; timers need an init", handler=write_apt_sources),
    Effect(pattern="base-files", reason="folders, links and defaults", handler=write_base_files),
    Effect(pattern="base-passwd", reason="accounts are written for every image"),
    Effect(pattern="bash", reason="/bin/sh is dash's; its alternative is made"),
    Effect(pattern="ca-certificates", reason="the bundle and the hashed links", handler=_certificates),
    Effect(pattern="coreutils", reason="/usr/bin/touch is there in a merged /usr"),
    Effect(pattern="dash", reason="/bin/sh", handler=_dash),
    Effect(pattern="debconf", reason="nothing but loading its own library"),
    Effect(pattern="debian-archive-keyring", reason="removes files of earlier releases"),
    Effect(pattern="debianutils", reason="/etc/shells, and its alternative", handler=write_shells),
    Effect(pattern="dpkg", reason="moves state of earlier versions; log files come with use"),
    Effect(pattern="dictionaries-common", reason="lists no dictionary: none is there"),
    Effect(pattern="gcc", reason="removes a broken alternative of earlier releases"),
    Effect(pattern="fontconfig-config", reason="the default rendering", handler=write_fontconfig),
    Effect(pattern="fontconfig", reason="the cache of fonts is made again when it is missing"),
    Effect(pattern="gzip", reason="moves files of earlier releases into /usr"),
    Effect(pattern="init-system-helpers", reason="undoes a diversion of debootstrap"),
    Effect(pattern="libc-bin", reason="nsswitch.conf; the linker's cache is written", handler=write_nsswitch),
    Effect(pattern="libc6", reason="checks the kernel and restarts services on upgrades"),
    Effect(pattern="libgcrypt20", reason="looks for stray copies on upgrades only"),
    Effect(pattern="libgdk-pixbuf-2\\.0-0", reason="PNG and JPEG are built in; other loaders are not listed"),
    Effect(pattern="libglib2\\.0-0(?:t64)?", reason="compiles schemas and lists modules of other packages"),
    Effect(pattern="libgssapi-krb5-2", reason="moves configuration of earlier releases"),
    Effect(pattern="libibverbs1", reason="a group for device files, which no image holds"),
    Effect(pattern="libpam-modules", reason="two empty files", handler=write_pam_modules),
    Effect(pattern="libpam-modules-bin", reason="enables a timer; no init runs in a container"),
    Effect(pattern="libpam-runtime", reason="the four PAM stacks", handler=write_pam_stacks),
    Effect(pattern="libpam0g", reason="restarts services on upgrades"),
    Effect(pattern="libpython3\\.\\d+-minimal", reason="compiles bytecode: that is its own layer"),
    Effect(pattern="libreadline8t64", reason="guards an upgrade to merged /usr"),
    Effect(pattern="libselinux1", reason="moves a library of earlier releases into /usr"),
    Effect(pattern="libsensors[45]", reason="replaces an unchanged setting of earlier releases"),
    Effect(pattern="libssl3(?:t64)?", reason="restarts services on upgrades"),
    Effect(pattern="login", reason="three empty files", handler=write_login),
    Effect(pattern="login\\.defs", reason="removes settings of earlier releases"),
    Effect(pattern="media-types", reason="removes files of earlier releases"),
    Effect(pattern="netbase", reason="/etc/hosts and /etc/networks", handler=write_hosts),
    Effect(pattern="openssl", reason="/usr/lib/ssl is part of the package"),
    Effect(pattern="openssh-client", reason="ssh-agent without a group of its own works"),
    Effect(pattern="passwd", reason="shadow passwords are on in every image"),
    Effect(pattern="perl", reason="an alternative of earlier releases is removed"),
    Effect(pattern="perl-base", reason="moves documentation of earlier releases"),
    Effect(pattern="procps", reason="kernel settings are the host's"),
    Effect(pattern="python3", reason="bytecode is its own layer; a default setting", handler=write_python),
    Effect(pattern="python3-minimal", reason="compiles bytecode: that is its own layer"),
    Effect(pattern="python3\\.\\d+", reason="compiles bytecode: that is its own layer"),
    Effect(
        pattern="python3\\.\\d+-minimal", reason="folders for local packages", handler=write_python_minimal
    ),
    Effect(pattern="readline-common", reason="/etc/inputrc", handler=write_inputrc),
    Effect(pattern="shared-mime-info", reason="the MIME database serves desktops; readers fall back"),
    Effect(pattern="tzdata", reason="the time zone is UTC", handler=write_timezone),
    Effect(pattern="ucf", reason="its state is made with use"),
    Effect(pattern="usr-is-merged", reason="checks that /usr is merged: it is"),
    Effect(pattern="util-linux", reason="its alternative; timers need an init"),
    Effect(pattern="unzip", reason="lists itself in a desktop's MIME types"),
    Effect(pattern="util-linux-extra", reason="the hardware clock's init script"),
    Effect(pattern="x11-common", reason="forgets an answer of earlier releases; no X server runs"),
    Effect(pattern="xz-utils", reason="its alternative is made: see _CHOICES"),
)


_CHOICES = {
    "xz-utils": Choice(
        link="/usr/bin/lzma",
        name="lzma",
        path="/usr/bin/xz",
        priority=20,
        slaves=(
            ("/usr/bin/unlzma", "unlzma", "/usr/bin/unxz"),
            *(
                (f"/usr/bin/lz{tool}", f"lz{tool}", f"/usr/bin/xz{tool}")
                for tool in ("cat", "more", "less", "diff", "cmp", "grep", "egrep", "fgrep")
            ),
        ),
    ),
}
"""Alternatives that a script puts together with shell functions."""


def effect_of(name: str) -> Effect | None:
    """What is known of the package called `name`."""
    for effect in EFFECTS:
        if re.fullmatch(effect.pattern, name):
            return effect
    return None


def check_effects(package: OpenedPackage) -> None:
    """Raises PackageRefused [E-effect] when a script does what nobody here knows."""
    if effect_of(package.name) is not None:
        return
    for name in ("preinst", "postinst"):
        text = package.script(name)
        unknown = read_script(text).unknown if text is not None else ()
        if unknown:
            raise PackageRefused(
                package.name,
                "E-effect",
                f"its {name} would do something at installation that has no known effect here: {unknown[0]!r}"
                + (f" and {len(unknown) - 1} lines more" if len(unknown) > 1 else "")
                + "; lading runs no maintainer script, and leaving its effect out would break the package",
                hints=(
                    f"use a wheel that brings what {package.name} brings, or add {package.name} on top: "
                    "build with --output docker-archive:FILE, then FROM that image in a Dockerfile",
                ),
            )


def apply_effects(root: Root, packages: Sequence[OpenedPackage]) -> None:
    """Make every effect of `packages`, which are in the order of unpacking."""
    for package in packages:
        effect = effect_of(package.name)
        if effect is not None and effect.handler is not None:
            effect.handler(root, package)
    choices: list[Choice] = []
    for package in packages:
        choices += alternatives_of(package.script("postinst") or "")
        if package.name in _CHOICES:
            choices.append(_CHOICES[package.name])
    apply_alternatives(root, choices)
