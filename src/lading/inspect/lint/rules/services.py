"""What several compose rules ask of a service: what it starts, its ports, mounts and GPUs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lading.inspect.lint import yaml_edit
from lading.inspect.lint.dockerfile import split_words
from lading.inspect.lint.model import Edit
from lading.inspect.lint.rules.compose import environment, services
from lading.inspect.lint.rules.scripts import image_name
from lading.inspect.lint.rules.stages import Program, as_program, command_words
from lading.inspect.lint.yaml_file import Value

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")
_UNITS = {"us": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TRAIN = re.compile(r"(?:^|[^a-z])(?:train|trainer|training|finetune|fine-tune|pretrain)(?:[^a-z]|$)")
_ORDER = (
    "image", "build", "container_name", "depends_on", "volumes", "volumes_from", "configs", "secrets",
    "environment", "env_file", "ports", "networks", "network_mode", "extra_hosts", "command", "entrypoint",
    "working_dir", "restart", "healthcheck", "logging", "labels", "user", "isolation",
)  # fmt: skip
_LAUNCHERS = frozenset(
    {"torchrun", "torch.distributed.run", "torch.distributed.launch", "deepspeed", "accelerate"}
)

__all__ = ["environment", "services"]


def words(value: Value | None) -> tuple[str, ...]:
    """The words of `command` or `entrypoint`; none when a shell decides them."""
    if value is None:
        return ()
    if value.items:
        found = tuple(item.data for item in value.items if isinstance(item.data, str))
        if (
            len(found) == 3
            and found[0].rpartition("/")[2] in {"sh", "bash"}
            and found[1] in {"-c", "-lc", "-ec"}
        ):
            return command_words(found[2].replace("\n", " "))
        return found
    if not isinstance(value.data, str):
        return ()
    text = value.data.replace("\\\n", " ").replace("\n", " ")
    split = tuple(word.value for word in split_words(text))
    if len(split) >= 3 and split[0].rpartition("/")[2] in {"sh", "bash"} and split[1] in {"-c", "-lc", "-ec"}:
        return command_words(split[2])
    return split


def program(service: Value) -> Program | None:
    """What the service's own lines start; None when the image decides it."""
    entrypoint = words(service.get("entrypoint"))
    if service.get("entrypoint") is not None and not entrypoint:
        return None
    return as_program(entrypoint + words(service.get("command")))


def is_training(name: str, service: Value) -> bool:
    """Whether the service says that it trains: a launcher, a script or a module of that name; or its own
    name, when the image decides what is started.
    """
    found = program(service)
    if found is None:
        decided = ("command", "entrypoint", "tty", "stdin_open")  # with a terminal it waits for a person
        started = any(service.get(key) is not None for key in decided)
        return not started and _TRAIN.search(name.lower()) is not None
    if found.program in _LAUNCHERS:
        return found.program != "accelerate" or found.words[:1] == ("launch",)
    asked = found.words[0] if found.program == "python" and found.words else found.program
    return found.script and _TRAIN.search(asked.lower().rpartition("/")[2]) is not None


def gpu_devices(service: Value) -> bool:
    """Whether any line of the service asks for a GPU."""
    devices = service.get("deploy", "resources", "reservations", "devices")
    if any(item.members for item in (devices.items if devices is not None else ())):
        return True
    if service.get("gpus") is not None or service.text("runtime") == "nvidia":
        return True
    plain = service.get("devices")
    return any("nvidia" in str(item.data) for item in (plain.items if plain is not None else ()))


def image(service: Value) -> tuple[str, str]:
    """Repository and tag; empty when there is no image or a variable decides it."""
    text = service.text("image")
    return image_name(text) if text and "$" not in text and service.get("build") is None else ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A published port; `address` is empty for all interfaces."""

    value: Value
    address: str
    published: str
    target: str
    protocol: str
    short: bool


def ports(service: Value) -> Iterator[Port]:
    """Those whose numbers are written out; no ranges."""
    found = service.get("ports")
    for item in found.items if found is not None else ():
        if isinstance(item.data, str) and "$" not in item.data:
            text, _, protocol = item.data.partition("/")
            rest, _, target = text.rpartition(":")
            address, _, published = rest.rpartition(":")
            if target.isdecimal() and (not rest or published.isdecimal()):
                yield Port(
                    value=item, address=address, published=published, target=target,
                    protocol=protocol or "tcp", short=True,
                )  # fmt: skip
        elif item.members:
            published, target = item.text("published") or "", item.text("target") or ""
            if target.isdecimal() and (not published or published.isdecimal()):
                yield Port(
                    value=item, address=item.text("host_ip") or "", published=published, target=target,
                    protocol=item.text("protocol") or "tcp", short=False,
                )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    value: Value
    source: str
    target: str
    is_read_only: bool
    options: str
    """Of the short form: what stands after the second colon."""
    short: bool


def mounts(service: Value) -> Iterator[Mount]:
    found = service.get("volumes")
    for item in found.items if found is not None else ():
        if isinstance(item.data, str):
            pieces = _apart(item.data)
            if 2 <= len(pieces) <= 3:
                options = pieces[2] if len(pieces) == 3 else ""
                yield Mount(
                    value=item, source=pieces[0], target=pieces[1], options=options, short=True,
                    is_read_only="ro" in options.split(","),
                )  # fmt: skip
        elif item.members and item.text("type") in {"bind", "volume"}:
            yield Mount(
                value=item, source=item.text("source") or "", target=item.text("target") or "", options="",
                is_read_only="read_only" in item.members and item.data["read_only"] is not False, short=False,
            )  # fmt: skip


def _apart(text: str) -> list[str]:
    """Source, target and options; a colon inside `${…}` is none between them."""
    hidden = re.sub(r"\$\{[^}]*\}", lambda match: "v" * len(match[0]), text)
    pieces, at = [], 0
    for part in hidden.split(":"):
        pieces.append(text[at : at + len(part)])
        at += len(part) + 1
    return pieces


def seconds(text: str | None) -> float | None:
    """A duration as compose writes it."""
    if not text:
        return None
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def add_key(service: Value, text: str) -> tuple[Edit, ...]:
    """A key in its usual place among those of a service; nothing where other places share the service."""
    if service.flow or service.shared or not service.keys:
        return ()
    rank = _rank(text.partition(":")[0])
    after = [at for key, at in service.keys.items() if _rank(key) > rank]
    last = _last_scalar(service)
    if after or last is None:
        at = min(after) if after else max(service.keys.values())
        return (Edit(start=at, end=at, text=f"{text}\n" + " " * service.column),)
    return (Edit(start=last.line_end, end=last.line_end, text="\n" + " " * service.column + text),)


def _rank(key: str) -> tuple[int, str]:
    """Compose's keys in the order of dclint's `service-keys-order`; others after them, by name."""
    return (_ORDER.index(key), "") if key in _ORDER else (len(_ORDER), key)


def _last_scalar(value: Value) -> Value | None:
    """What the mapping ends with; None where its end is not certain."""
    while not value.flow and (value.keys or value.items):
        key = max(value.keys, key=lambda name: value.keys[name]) if value.keys else ""
        value = value.members[key] if value.keys else value.items[-1]
    lines = isinstance(value.data, str) and "\n" in value.data
    return None if value.shared or lines or not value.end or value.data is None else value


def replace_scalar(value: Value, text: str) -> tuple[Edit, ...]:
    """Another text in a scalar's place; nothing where that is not one place on one line."""
    edit = yaml_edit.replace_scalar(value, text)
    return () if edit is None else (edit,)
