"""The common PAM stacks, as `pam-auth-update` writes them from the profiles that are on by default. Pure.

Every stack has a Primary block, of which one success is enough, and an Additional block.
"""

from __future__ import annotations

import posixpath

from lading.image.debian.package import OpenedPackage
from lading.image.debian.root import Root

_STACKS = {
    "auth": "Auth",
    "account": "Account",
    "password": "Password",
    "session": "Session",
    "session-noninteractive": "Session",
}
_PROFILES = "usr/share/pam-configs"


def write_pam_stacks(root: Root, package: OpenedPackage) -> None:
    """`/etc/pam.d/common-*` and pam-auth-update's notes under `/var/lib/pam`."""
    names = sorted(posixpath.basename(path) for path in root.entries if posixpath.dirname(path) == _PROFILES)
    profiles = {
        name: _parse_profile((root.read(f"{_PROFILES}/{name}") or b"").decode("utf-8")) for name in names
    }
    ordered = sorted(profiles, key=lambda name: (-int(profiles[name].get("Priority", "0") or 0), name))
    used = [name for name in ordered if profiles[name].get("Default", "").strip().lower() == "yes"]
    root.file("var/lib/pam/seen", "".join(f"{name}\n" for name in ordered).encode())
    for stack, field in _STACKS.items():
        template = root.read(f"usr/share/pam/common-{stack}")
        if template is None:
            continue
        blocks = {
            kind: _block(profiles, used, field, kind, interactive=stack != "session-noninteractive")
            for kind in ("Primary", "Additional")
        }
        word = stack.replace("-noninteractive", "_nonint")
        text = template.decode("utf-8")
        for kind, lines in blocks.items():
            filled = _filled(lines, stack.partition("-")[0], alone=kind == "Primary")
            text = text.replace(f"${word}_{kind.lower()}\n", filled)
        root.file(f"etc/pam.d/common-{stack}", text.encode())
        root.file(f"var/lib/pam/{stack}", _notes(blocks).encode())


def _parse_profile(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if line[:1] in (" ", "\t"):
            fields[key] += line.lstrip() + "\n"
        elif ":" in line:
            key, _, value = line.partition(":")
            fields[key] = value.strip()
    return fields


def _block(
    profiles: dict[str, dict[str, str]], used: list[str], field: str, kind: str, *, interactive: bool
) -> list[tuple[str, str]]:
    """Profile and line of each module; the first profile of a block uses its `-Initial` lines."""
    lines: list[tuple[str, str]] = []
    for name in used:
        profile = profiles[name]
        if profile.get(f"{field}-Type") != kind:
            continue
        if (
            field == "Session"
            and not interactive
            and profile.get("Session-Interactive-Only", "").lower() == "yes"
        ):
            continue
        text = profile.get(f"{field}-Initial" if not lines else field) or profile.get(field, "")
        lines += [(name, line) for line in text.splitlines() if line]
    return lines


def _filled(lines: list[tuple[str, str]], word: str, *, alone: bool) -> str:
    """The block's lines; `end` becomes how many lines a success jumps over."""
    if alone and not lines:
        return f"{word}\t[default=1]\t\t\tpam_permit.so\n"
    filled = []
    for number, (_, line) in enumerate(lines):
        # pam-auth-update sets options apart by a space, also where a module has none.
        space = " " if line.endswith(".so") else ""
        filled.append(f"{word}\t{line.replace('=end', f'={len(lines) - number}')}{space}\n")
    return "".join(filled)


def _notes(blocks: dict[str, list[tuple[str, str]]]) -> str:
    primary = blocks["Primary"] or [("null", "[default=1]\t\t\tpam_permit.so")]
    return "".join(f"Module: {name}\n{line}\n" for name, line in (*primary, *blocks["Additional"]))
