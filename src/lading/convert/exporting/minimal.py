"""The stages of a root without shell and dpkg: made from outside, in a Debian that has both. Pure.

The packages' own files are unpacked beside that Debian. Their scripts run in it, and of what these leave the
root gets what a program of the image would read.
"""

from __future__ import annotations

from lading.convert.exporting.debian import MERGED, QUIETLY, ROOT, UNPACKED, library_bytecode, prune
from lading.convert.exporting.tools import SYSTEM_PACKAGES
from lading.convert.exporting.words import run
from lading.image.debian.accounts import USER_ID, USER_NAME
from lading.image.debian.files import NSSWITCH
from lading.lock.model import LockedInterpreter

_EFFECTS = """
    /etc/ssl/certs /etc/ca-certificates.conf /etc/localtime /etc/timezone /etc/networks /etc/inputrc
    /etc/environment /etc/profile /etc/motd /etc/hosts /etc/hostname /etc/resolv.conf /etc/subuid /etc/subgid
    /etc/dpkg/origins /etc/opt /etc/python3/debian_config /root/.profile /root/.bashrc /usr/local/*
    /var/lib/python /var/log/wtmp /var/log/btmp /var/log/lastlog /var/mail /var/opt /var/spool/mail
    /var/lib/dpkg/triggers/update-*
"""
"""What the scripts of these packages make and images read."""
_COPIED = """
for path in {paths}; do
    if [ -e "$path" ] || [ -L "$path" ]; then cp -a --parents "$path" {root}; fi;
done
"""
_FOLDERS = (
    f"mkdir -p {ROOT}/dev {ROOT}/home/{USER_NAME} {ROOT}/media {ROOT}/mnt {ROOT}/opt {ROOT}/proc {ROOT}/root",
    f"mkdir -p {ROOT}/run/lock {ROOT}/srv {ROOT}/sys {ROOT}/tmp {ROOT}/var/lib {ROOT}/var/log {ROOT}/var/tmp",
    f"chmod 700 {ROOT}/root",
    f"chmod 1777 {ROOT}/run/lock {ROOT}/tmp {ROOT}/var/tmp",
    f"chown {USER_ID}:{USER_ID} {ROOT}/home/{USER_NAME}",
    f"rm -rf {ROOT}/var/run {ROOT}/var/lock",
    f"ln -s /run {ROOT}/var/run",
    f"ln -s /run/lock {ROOT}/var/lock",
)
_ACCOUNTS = (
    f"masters={ROOT}/usr/share/base-passwd",
    f"nobody='{USER_NAME}:*:{USER_ID}:{USER_ID}:{USER_NAME}:/home/{USER_NAME}:/usr/sbin/nologin'",
    'users=$(cat $masters/passwd.master; echo "$nobody")',
    f"groups=$(cat $masters/group.master; echo '{USER_NAME}:*:{USER_ID}:')",
    f"""echo "$users" | sed -E 's/^([^:]*):[^:]*:/\\1:x:/' > {ROOT}/etc/passwd""",
    f"""echo "$groups" | sed -E 's/^([^:]*):[^:]*:/\\1:x:/' > {ROOT}/etc/group""",
    f"""echo "$users" | sed -E 's/^([^:]*):.*/\\1:*::0:99999:7:::/' > {ROOT}/etc/shadow""",
    f"""echo "$groups" | sed -E 's/^([^:]*):.*:([^:]*)$/\\1:*::\\2/' > {ROOT}/etc/gshadow""",
    f"chmod 640 {ROOT}/etc/shadow {ROOT}/etc/gshadow",
    f"chgrp 42 {ROOT}/etc/shadow {ROOT}/etc/gshadow",
    f"touch {ROOT}/etc/subuid {ROOT}/etc/subgid",
)
_RECORDS = f"""
for package in {SYSTEM_PACKAGES}/*.deb; do
    name=$(dpkg-deb --field $package Package);
    dpkg-query --status $name;
    echo;
    for kind in list md5sums conffiles triggers shlibs symbols templates; do
        for file in /var/lib/dpkg/info/$name.$kind /var/lib/dpkg/info/$name:*.$kind; do
            if [ -f $file ]; then cp $file {ROOT}/var/lib/dpkg/info/; fi;
        done;
    done;
done > {ROOT}/var/lib/dpkg/status
"""


def minimal_stages(interpreter: LockedInterpreter | None) -> list[str]:
    """`configured`, where the image's interpreter can be used, and `base`."""
    nsswitch = "\n    ".join(f"'{line}'" for line in NSSWITCH.decode().splitlines())
    effects = _COPIED.format(paths=_EFFECTS.strip(), root=ROOT)
    made = [
        *_FOLDERS,
        effects,
        *_ACCOUNTS,
        f"printf '%s\\n' {nsswitch} > {ROOT}/etc/nsswitch.conf",
        f"mkdir -p {ROOT}/usr/lib/ssl",
        f"ln -sf /etc/ssl/certs/ca-certificates.crt {ROOT}/usr/lib/ssl/cert.pem",
        f"ln -sfn /etc/ssl/certs {ROOT}/usr/lib/ssl/certs",
        f"mkdir -p {ROOT}/var/lib/dpkg/info {ROOT}/var/lib/dpkg/updates {ROOT}/var/lib/dpkg/parts",
        f"mkdir -p {ROOT}/var/lib/dpkg/alternatives {ROOT}/var/lib/dpkg/triggers",
        f"touch {ROOT}/var/lib/dpkg/diversions {ROOT}/var/lib/dpkg/triggers/File",
        f"touch {ROOT}/var/lib/dpkg/triggers/Unincorp",
        f"echo 1 > {ROOT}/var/lib/dpkg/info/format",
        _RECORDS,
        f"find {ROOT} -name __pycache__ -prune -exec rm -rf {{}} +",
        *library_bytecode(interpreter, root=ROOT),
        *prune(ROOT),
        f"ldconfig -r {ROOT}",
        f"rm -rf {ROOT}/var/cache/ldconfig",
    ]
    return [
        "",
        "# The packages installed where there is a shell, for what their scripts make.",
        "FROM packages AS configured",
        run([QUIETLY, f"dpkg --force-depends --install {SYSTEM_PACKAGES}/*.deb"]),
        "",
        "# The image's root beside it: the packages' files, and that.",
        "FROM configured AS carved",
        run([MERGED, UNPACKED, *made]),
        "",
        "FROM scratch AS base",
        f"COPY --from=carved {ROOT}/ /",
    ]
