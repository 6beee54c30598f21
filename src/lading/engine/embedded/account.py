"""Which user and group a container runs as, read strictly from an image's own files. Pure.

The files come from the image and may be hostile: a line that is not exactly a passwd or group line is passed
over, a number that does not fit is no number (catalogue X14). Sources: passwd(5), group(5), image-spec
config.md `User`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lading.errors import EngineError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_MAX_ID = 2**32 - 2
"""2**32 - 1 means "no user" to the kernel."""


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int


def needs_files(user: str) -> bool:
    """True where `passwd` or `group` has to be read to know the account."""
    name, colon, group = user.partition(":")
    return bool(user) and not (_NUMBER.fullmatch(name) and colon and _NUMBER.fullmatch(group))


def account_of(user: str, passwd: str, group: str) -> Account:
    """`UID`, `UID:GID`, `NAME` or `NAME:GROUP`; empty means 0:0. Raises EngineError.

    A numeric user without a group has the group of its passwd line, else 0, as other engines have it.
    """
    if not user:
        return Account(0, 0)
    name, colon, group_name = user.partition(":")
    uid = _identifier(name)
    found = _passwd_line(passwd, name, uid)
    if uid is None:
        if found is None:
            raise _unknown("user", name, user)
        uid = found.uid
    gid = found.gid if found is not None else 0
    if colon:
        named = _identifier(group_name)
        gid = named if named is not None else _group_id(group, group_name, user)
    return Account(uid, gid)


def _identifier(text: str) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    value = int(text)
    return value if value <= _MAX_ID else None


def _passwd_line(passwd: str, name: str, uid: int | None) -> Account | None:
    for line in passwd.split("\n"):
        fields = line.split(":")
        if len(fields) != 7 or not _NAME.fullmatch(fields[0]):
            continue
        line_uid, line_gid = _identifier(fields[2]), _identifier(fields[3])
        if line_uid is None or line_gid is None:
            continue
        if (uid is None and fields[0] == name) or (uid is not None and line_uid == uid):
            return Account(line_uid, line_gid)
    return None


def _group_id(group: str, name: str, user: str) -> int:
    for line in group.split("\n"):
        fields = line.split(":")
        if len(fields) == 4 and fields[0] == name and _NAME.fullmatch(name):
            gid = _identifier(fields[2])
            if gid is not None:
                return gid
    raise _unknown("group", name, user)


def _unknown(what: str, name: str, user: str) -> EngineError:
    return EngineError(
        f"the image has no {what} {name!r}, wanted as {user!r}", hints=("give numbers: --user 1000:1000",)
    )
