"""What a maintainer script would do on a fresh installation, as far as it can be read without running it.

Pure. Recognised are the sections that debhelper generates, calls of `update-alternatives --install`, and
shell that only decides between these. Whatever else a script holds is an effect nobody here knows:
`read_script` returns those lines, and the caller refuses the package unless a handler covers it.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

HARMLESS_SECTIONS = {
    "dh_installdeb": "moves configuration files on upgrades only",
    "dh_makeshlibs": "runs ldconfig; the cache is written here",
    "dh_python3": "compiles bytecode; that is its own layer",
    "dh_installsystemd": "enables units; no init runs in a container",
    "dh_installsystemduser": "enables units; no init runs in a container",
    "dh_systemd_enable": "enables units; no init runs in a container",
    "dh_systemd_start": "starts units; no init runs in a container",
    "dh_installinit": "enables init scripts; no init runs in a container",
    "dh_installmenu": "updates a window manager's menu",
    "dh_installmime": "updates a desktop's MIME types",
    "dh_icons": "caches a desktop's icons",
    "dh_installudev": "renames device rules on upgrades only",
    "dh_ucf": "registers configuration files",
    "dh_installxfonts": "indexes bitmap fonts of an X server",
    "dh_lintian": "nothing at installation",
    "dh_installdebconf": "asks questions",
    "dh_apparmor": "loads profiles into a host's kernel",
    "dh_bash-completion": "nothing at installation",
}
"""Sections whose effect is none in an image, or is made here; by the debhelper program that writes them."""

_SECTION = re.compile(
    r"^# Automatically added by (?P<tool>[\w-]+)[^\n]*\n(?P<body>.*?)^# End automatically added section\n?",
    re.MULTILINE | re.DOTALL,
)
_PLAIN = r"[^;&|`$<>()\\]"
"""A character of an argument that cannot begin another command."""
_HELPER = re.compile(
    r"^\s*dpkg-maintscript-helper\s+(?:rm_conffile|mv_conffile|symlink_to_dir|dir_to_symlink)\s"
    rf"(?:{_PLAIN}|\\[~+]|\$@)*(?:\|\|\s*true\s*)?$"
)
_ARGUMENT = r"""\[\s+"?\$\{?1\}?"?\s+!?=\s+["']?[\w-]+["']?\s+\]"""
_FLOW = re.compile(
    r"""^\s*(?:
        set\s+-[eux]+ | exit\s+(?:0|1) | true | : | ;; | esac | fi | else | \} | then
      | case\s+"?\$\{?1(?::-)?\}?"?\s+in
      | \(?[\w|*\s"'-]+\)\s*(?:(?:true|:|exit\s+0)?\s*;;)?
      | (?:el)?if\s+ARGUMENT(?:\s*\|\|\s*ARGUMENT)*\s*;\s*then
      | echo\s+(?:PLAIN|\\`|\$1)*(?:unknown\ argument|called\ with)(?:PLAIN|\\`|\$1)*(?:1?>&2)?
      | ldconfig | export\s+LC_ALL=C | umask\s+022
    )\s*$""".replace("ARGUMENT", _ARGUMENT).replace("PLAIN", _PLAIN),
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One candidate of an alternative (update-alternatives(1), `--install`)."""

    link: str
    name: str
    path: str
    priority: int
    slaves: tuple[tuple[str, str, str], ...] = ()
    """Link, name and path of each link that follows the main one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was understood of one script, and the lines that were not."""

    choices: tuple[Choice, ...] = ()
    unknown: tuple[str, ...] = field(default=())


def read_script(text: str) -> Reading:
    """Understand a preinst or postinst. A script that is no shell script is unknown whole."""
    first = text.partition("\n")[0]
    if not re.match(r"#!\s*/(?:usr/)?bin/(?:ba|da)?sh\b", first):
        return Reading(unknown=(first[:80] or "an empty script",))
    choices: list[Choice] = []
    unknown: list[str] = []

    def section(match: re.Match[str]) -> str:
        if match["tool"] in HARMLESS_SECTIONS:
            return ""
        return match["body"]

    for line in drop_upgrades(_logical_lines(_SECTION.sub(section, text))):
        choice = _read_choice(line)
        if choice is not None:
            choices.append(choice)
        elif not (_FLOW.match(line) or _HELPER.match(line)):
            unknown.append(line.strip())
    return Reading(choices=tuple(choices), unknown=tuple(unknown))


_IF = re.compile(r"^\s*if\s+(?P<condition>.+?)\s*;\s*then\s*$")
_OPENS = re.compile(r"^\s*if\b")
_UPGRADE = re.compile(
    r"""(?:\[|test)\s+(?:
        -n\s+"?\$\{?2(?::-)?\}?"?
      | "?\$\{?1\}?"?\s+=\s+["']?(?:upgrade|triggered|reconfigure|abort-upgrade)["']?
    )\s*\]?
    | dpkg\s+--compare-versions\s+(?:--\s+)?"?\$\{?2\}?"?\s+(?:lt-nl|le-nl|gt|ge)\s+\S+""",
    re.VERBOSE,
)


def drop_upgrades(lines: list[str]) -> list[str]:
    """`lines` without the blocks that only an upgrade enters.

    On a fresh installation there is no earlier version, so `-n "$2"` and comparisons that no version fails
    (`lt-nl`, `ge`) are false; a conjunction is false where one part is. Only blocks without `else` are
    dropped: what an `else` holds would run.
    """
    kept: list[str] = []
    at = 0
    while at < len(lines):
        end = _dropped_block(lines, at)
        if end is None:
            kept.append(lines[at])
            at += 1
        else:
            at = end
    return kept


def _dropped_block(lines: list[str], start: int) -> int | None:
    """The line after the block that begins at `start`, if only an upgrade enters it."""
    match = _IF.match(lines[start])
    if match is None or "||" in match["condition"]:
        return None
    if not any(_UPGRADE.fullmatch(part.strip()) for part in match["condition"].split("&&")):
        return None
    depth = 0
    for at in range(start, len(lines)):
        line = lines[at].strip()
        if depth == 1 and re.match(r"(?:else|elif)\b", line):
            return None
        if _OPENS.match(line) and not re.search(r";\s*fi\s*$", line):
            depth += 1
        elif re.match(r"fi\b", line):
            depth -= 1
            if depth == 0:
                return at + 1 if line == "fi" else None
    return None


def alternatives_of(text: str) -> tuple[Choice, ...]:
    """The alternatives that a script installs, whatever else it does."""
    found = map(_read_choice, _logical_lines(text))
    return tuple(choice for choice in found if choice is not None)


def _logical_lines(text: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", " ", text)
    joined = re.sub(r"(?:&&|\|\|)\n\s*", lambda match: match[0].strip() + " ", joined)
    joined = re.sub(r"\n\s*then\b[ \t]*\n", "; then\n", joined)
    joined = re.sub(r";;\s*then", "; then", joined)
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _read_choice(line: str) -> Choice | None:
    """Raises nothing: a call that cannot be read is just not recognised, so the package is refused."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return None
    if words[-2:] in (["||", "true"], ["||", ":"]):
        words = words[:-2]
    words = [word for word in words if word not in ("--quiet", "--force")]
    if (
        words[:2] != ["update-alternatives", "--install"]
        or len(words) < 6
        or any("$" in word for word in words)
    ):
        return None
    link, name, path, priority, *rest = words[2:]
    if not priority.lstrip("-").isdigit() or len(rest) % 4 or any(word != "--slave" for word in rest[::4]):
        return None
    slaves = tuple((rest[at + 1], rest[at + 2], rest[at + 3]) for at in range(0, len(rest), 4))
    return Choice(link=link, name=name, path=path, priority=int(priority), slaves=slaves)
