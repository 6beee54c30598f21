"""Users and groups: Debian's own, from base-passwd's masters, and the one that images run as.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from lading.errors import PackageRefused
from lading.image.debian.root import Root

USER_NAME = "lading"
USER_ID = 1000
_SHADOW_GROUP_ID = 42
_MASTERS = "usr/share/base-passwd"


def write_accounts(root: Root) -> None:
    """`/etc/passwd`, `group`, `shadow`, `gshadow`, `subuid`, `subgid` and the user's home.

    No account has a password. The date of the last change is left empty (shadow(5): no ageing): a date
    would make the image depend on the day.
    """
    users = _master(root, "passwd.master")
    groups = _master(root, "group.master")
    shell = "/bin/bash" if "usr/bin/bash" in root else "/usr/sbin/nologin"
    users.append(f"{USER_NAME}:*:{USER_ID}:{USER_ID}:{USER_NAME}:/home/{USER_NAME}:{shell}")
    groups.append(f"{USER_NAME}:*:{USER_ID}:")
    root.file("etc/passwd", _lines(_in_shadow(line) for line in users))
    root.file("etc/group", _lines(_in_shadow(line) for line in groups))
    shadow = _lines(f"{line.partition(':')[0]}:*::0:99999:7:::" for line in users)
    root.file("etc/shadow", shadow, mode=0o640, gid=_SHADOW_GROUP_ID)
    gshadow = _lines(f"{line.partition(':')[0]}:*::{line.rpartition(':')[2]}" for line in groups)
    root.file("etc/gshadow", gshadow, mode=0o640, gid=_SHADOW_GROUP_ID)
    for name in ("subuid", "subgid"):
        root.file_if_absent(f"etc/{name}", b"")
    root.directory(f"home/{USER_NAME}", uid=USER_ID, gid=USER_ID)


def _master(root: Root, name: str) -> list[str]:
    content = root.read(f"{_MASTERS}/{name}")
    if content is None:
        raise PackageRefused("base-passwd", "E-accounts", f"it has no {_MASTERS}/{name}")
    return content.decode("utf-8").splitlines()


def _in_shadow(line: str) -> str:
    name, _, rest = line.split(":", 2)
    return f"{name}:x:{rest}"


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
