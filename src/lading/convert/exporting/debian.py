"""The stage that makes a root of Debian packages: unpacked by dpkg, configured by their own scripts. Pure.

lading makes the effects of maintainer scripts by itself; here they run. What only an installation leaves
behind (logs, caches, locks, backups, the day) is removed, so that both come to the same root.
"""

from __future__ import annotations

from lading.convert.exporting.tools import APT_PACKAGES, COMPILE, SYSTEM_PACKAGES
from lading.convert.exporting.words import exports, run
from lading.image.debian.accounts import USER_ID, USER_NAME
from lading.image.debian.prune import DPKG_RULES
from lading.lock.model import LockedInterpreter

QUIETLY = exports(
    (("DEBIAN_FRONTEND", "noninteractive"), ("DEBCONF_NONINTERACTIVE_SEEN", "true"), ("LC_ALL", "C"))
)
ROOT = "/rootfs"
"""Where a stage that fetches makes a root."""
MERGED = f"""
for folder in bin sbin lib lib64; do
    mkdir -p {ROOT}/usr/$folder;
    ln -s usr/$folder {ROOT}/$folder;
done
"""
UNPACKED = f"""
for package in {SYSTEM_PACKAGES}/*.deb; do
    dpkg-deb --fsys-tarfile $package | tar -x -C {ROOT} --keep-directory-symlink;
done
"""
_PRUNE = (
    "find {root}/usr/share/doc -mindepth 2 -maxdepth 2"
    " ! -name copyright ! -path '*/apt/examples' -exec rm -rf {{}} +",
    "find {root}/usr/share/doc -mindepth 3"
    " ! -path '*/apt/examples/sources.list' ! -path '*/apt/examples/debian.sources' -delete",
    "find {root}/usr/share/man -mindepth 1 ! -path '*/usr/share/man/man[1-9]' -delete",
    "rm -rf {root}/usr/share/doc-base/* {root}/usr/share/groff/* {root}/usr/share/info/*"
    " {root}/usr/share/linda/*\n"
    "    {root}/usr/share/lintian/* {root}/usr/share/locale/* {root}/usr/share/bug/*",
    "rm -f {root}/etc/alternatives/*[0-9].gz {root}/var/lib/dpkg/alternatives/*.[0-9].gz",
)
"""As DPKG_RULES, with the folders and links that dpkg keeps for later."""
_TRACES = (
    "rm -rf /etc/.pwd.lock /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /var/lib/dpkg/*-old\n"
    "    /var/lib/dpkg/arch-native /var/lib/dpkg/lock* /var/lib/dpkg/triggers/Lock /var/cache/ldconfig/*\n"
    "    /var/cache/debconf/* /var/log/*.log /var/log/apt/* /tmp/* /var/tmp/*",
    "rm -rf /etc/rc?.d/[KS]* /etc/systemd/system/timers.target.wants\n"
    "    /var/lib/systemd/deb-systemd-helper-enabled",
)
"""What an installation leaves behind; and what only an init would read."""
_APT_SOURCES = """
for name in sources.list debian.sources; do
    if [ ! -f /usr/share/doc/apt/examples/$name ]; then continue; fi;
    case $name in *.sources) to=/etc/apt/sources.list.d ;; *) to=/etc/apt ;; esac;
    cp /usr/share/doc/apt/examples/$name $to/;
done
"""
_EXCLUDED = "\n    ".join(
    f"--{words[0]}='{words[1]}'" for words in map(str.split, DPKG_RULES.splitlines()) if "#" not in words
)


def debian_stages(interpreter: LockedInterpreter | None) -> list[str]:
    """`unpacked`, `configured` and `base`: a whole root, from nothing but the packages of the lock."""
    rules = "\n    ".join(f"'{line}'" for line in DPKG_RULES.splitlines())
    unpacked = (
        MERGED,
        f"mkdir -p {ROOT}/etc/dpkg/dpkg.cfg.d {ROOT}/var/lib/dpkg/info",
        f"touch {ROOT}/var/lib/dpkg/status",
        f"printf '%s\\n' {rules} > {ROOT}/etc/dpkg/dpkg.cfg.d/lading",
        UNPACKED,
    )
    configured = (
        QUIETLY,
        "dpkg --force-depends --install /mnt/base-passwd_*.deb /mnt/base-files_*.deb",
        "dpkg --force-depends --install /mnt/*.deb",
        "dpkg --audit",
    )
    return [
        "",
        "# The files of the packages, so that the image's own dpkg can start.",
        "FROM packages AS unpacked",
        run(unpacked),
        "",
        "# The packages installed by their own scripts, without what an installation leaves behind.",
        "FROM scratch AS configured",
        f"COPY --from=unpacked {ROOT}/ /",
        run(configured, [f"type=bind,from=packages,source={SYSTEM_PACKAGES},target=/mnt"]),
        run(_finished(interpreter)),
        "",
        "FROM scratch AS base",
        "COPY --from=configured / /",
    ]


def _finished(interpreter: LockedInterpreter | None) -> list[str]:
    user, number = USER_NAME, USER_ID
    return [
        f"echo '{user}:x:{number}:{number}:{user}:/home/{user}:/bin/bash' >> /etc/passwd",
        f"echo '{user}:x:{number}:' >> /etc/group",
        f"echo '{user}:*::0:99999:7:::' >> /etc/shadow",
        f"echo '{user}:*::' >> /etc/gshadow",
        "sed -i -E 's/^([^:]*:[^:]*):[0-9]*:/\\1::/' /etc/shadow",
        f"mkdir -p /home/{user}",
        f"chown {number}:{number} /home/{user}",
        "find / -xdev -name __pycache__ -prune -exec rm -rf {} +",
        *library_bytecode(interpreter),
        "dpkg --print-architecture > /var/lib/dpkg/arch",
        *prune(),
        *_TRACES,
        _APT_SOURCES,
    ]


def library_bytecode(interpreter: LockedInterpreter | None, *, root: str = "") -> list[str]:
    """Compiles the standard library of Debian's Python, below `root`, as the image's other bytecode is."""
    if interpreter is None:
        return []
    prefix = interpreter.executable.partition("/bin/")[0]
    libraries = (f"{prefix}/lib/python{interpreter.version}", f"{prefix}/lib/python3/dist-packages")
    moved = f" -s {root} -p /" if root else ""
    folders = " ".join(f"{root}{library}" for library in libraries)
    return [f"{COMPILE.format(python=interpreter.executable)}{moved} {folders}"]


def prune(root: str = "") -> list[str]:
    """Removes documentation below `root`, as the image does without it."""
    return [command.format(root=root) for command in _PRUNE]


def apt_commands(*, foreign: bool) -> list[str]:
    """What `[image] apt` asks for, over a base that has dpkg; packages are mounted at /mnt.

    `foreign`: of somebody else's base nothing is removed.
    """
    if foreign:
        install = f"dpkg --log=/dev/null {_EXCLUDED}\n    --install /mnt/*.deb"
        return [QUIETLY, install, "rm -rf /var/cache/ldconfig/*"]
    return [QUIETLY, "dpkg --install /mnt/*.deb", *prune(), *_TRACES]


def apt_mount() -> str:
    return f"type=bind,from=packages,source={APT_PACKAGES},target=/mnt"
