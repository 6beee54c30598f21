"""What may stand for single keys of `lading.toml`: suites, Pythons, accelerators, bases, gates. Pure.

Knows values and their mistakes; must not know which keys there are.
"""

from __future__ import annotations

import re

from lading.errors import ProjectError
from lading.project import accelerators
from lading.project.kinds import Reporter, choice, text, type_name
from lading.project.places import KeyPath

SUITES = {"bookworm": "3.11", "trixie": "3.13"}
"""Debian suites that can be a base, and the Python each brings."""
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
ACCELERATORS = ("cpu", "cuda", "cu118", "cu126", "cu128", "cu130")
"""Offered by editors and for typing mistakes; any other CUDA release may be written too."""
PLATFORMS = ("linux/amd64", "linux/arm64")
INTERPRETERS = ("auto", "debian", "standalone", "base")
TARGETS = ("train", "serve", "dev")

VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
DISTRIBUTION = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
DISTRIBUTION_WITH_EXTRAS = rf"{DISTRIBUTION}(?:\[{DISTRIBUTION}(?:, *{DISTRIBUTION})*\])?"

IMAGE_NAME = text(
    r"[a-z0-9][a-zA-Z0-9._:/-]*(?:@sha256:[0-9a-f]{64})?",
    'an image name such as "debian:trixie" or "host/name:tag"',
)
_ACCELERATOR = choice(*ACCELERATORS)
_TEXT = text()


def check_python(value: object, path: KeyPath, report: Reporter) -> str | None:
    if isinstance(value, float):
        report(
            path, "must be a string, not a float (3.10 would read as 3.1)", f'write it in quotes: "{value}"'
        )
        return None
    if not isinstance(value, str):
        report(path, f"must be a string, not {type_name(value)}", f'write it in quotes: "{PYTHONS[-2]}"')
        return None
    if value in PYTHONS:
        return value
    minor = ".".join(value.split(".")[:2])
    if minor in PYTHONS:
        report(
            path, f"{value!r} is more than a minor version; the lock pins the exact one", f'write "{minor}"'
        )
    else:
        report(path, f"Python {value!r} is not supported", f"one of {', '.join(PYTHONS)}")
    return None


def check_base(value: object, path: KeyPath, report: Reporter) -> str | None:
    checked: str | None = IMAGE_NAME.check(value, path, report)
    if checked is None:
        return None
    if checked == "debian" or (checked.startswith("debian:") and checked[7:] not in SUITES):
        report(path, f"{checked!r} names no Debian suite lading knows", _suite_hint(checked[7:]))
        return None
    if not checked.startswith("debian:"):
        return _check_reference(checked, path, report)
    return checked


def _check_reference(text: str, path: KeyPath, report: Reporter) -> str | None:
    from lading.oci.reference import Reference

    try:
        reference = Reference.parse(text)
        _ = reference.version
    except ValueError as error:
        report(path, f"{text!r} is no image: {error}", _suite_hint(text))
        return None
    return reference.qualified


def check_accelerator(value: object, path: KeyPath, report: Reporter) -> str | None:
    if isinstance(value, str) and accelerators.is_accelerator(value):
        return value
    checked: str | None = _ACCELERATOR.check(value, path, report)
    return checked


def check_conda(value: object, path: KeyPath, report: Reporter) -> dict[str, str | bool] | None:
    if not isinstance(value, dict):
        report(path, f"must be a table, not {type_name(value)}", "write [image.conda]")
        return None
    checked: dict[str, str | bool] = {}
    for name, meaning in value.items():
        if meaning is False:
            checked[name] = False
        elif isinstance(meaning, str) and re.fullmatch(DISTRIBUTION_WITH_EXTRAS, meaning):
            checked[name] = meaning
        else:
            hint = f'{name} = "its-name-there", or {name} = false to leave it out'
            report((*path, name), "must be a name on the Python index, or false", hint)
    return checked


def check_repository(value: object, path: KeyPath, report: Reporter) -> str | None:
    checked: str | None = _TEXT.check(value, path, report)
    if checked is None:
        return None
    from lading.oci.reference import Reference

    try:
        reference = Reference.parse(checked)
    except ValueError as error:
        report(path, f"{checked!r} is no repository: {error}", 'write it as "registry.example/team/digits"')
        return None
    if reference.tag is not None or reference.digest is not None:
        report(path, f"{checked!r} names an image, not its repository", f'write "{reference.name}"')
        return None
    return reference.name


def _suite_hint(word: str) -> str:
    from lading.project.report import nearest

    known = ", ".join(f'"debian:{suite}" (Python {python})' for suite, python in SUITES.items())
    close = nearest(word, SUITES)
    return f'did you mean "debian:{close}"?' if close else f"one of {known}"


def check_gate(value: object, path: KeyPath, report: Reporter) -> str | None:
    """A gate's syntax is known before training; what its metrics come to only after."""
    checked: str | None = _TEXT.check(value, path, report)
    if checked is None:
        return None
    from lading.project.expression import parse  # few projects have a gate

    try:
        parse(checked)
    except ProjectError as error:
        report(path, error.message, *error.hints[:1])
        return None
    return checked


def check_port(value: object, path: KeyPath, report: Reporter) -> str | None:
    number, slash, protocol = str(value).partition("/")
    known = not isinstance(value, bool) and isinstance(value, (int, str)) and protocol in ("", "tcp", "udp")
    if not known or bool(slash) != bool(protocol) or not re.fullmatch(r"[0-9]{1,5}", number):
        report(path, f"{value!r} is no port", 'as in 8000, or "8125/udp"')
        return None
    if not 1 <= int(number) <= 65_535:
        report(path, f"{number} is not between 1 and 65535")
        return None
    return f"{int(number)}/{protocol or 'tcp'}"
