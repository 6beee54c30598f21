"""ENV, PATH, LABEL, EXPOSE, USER, STOPSIGNAL as settings; and what of them an image has no need of. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from lading.convert.importing.draft import Said
from lading.convert.importing.model import Fate
from lading.convert.importing.places import CODE
from lading.convert.importing.settling import Settling
from lading.inspect.lint.secrets import named_credential
from lading.project.tokens import token_in

_TOOLS = re.compile(
    r"(?:PIP|UV|POETRY|PIPENV|CONDA|MAMBA|VIRTUALENV)_.*|VIRTUAL_ENV|PYTHONUNBUFFERED|PYTHONDONTWRITEBYTECODE"
    r"|DEBIAN_FRONTEND|PYSETUP_PATH|VENV_PATH|PYTHONFAULTHANDLER|PYTHONHASHSEED_"
)
_ALREADY = {"PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"}
_OF_CUDA = ("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_REQUIRE_CUDA")
_PACKAGE_BIN = re.compile(
    r"/opt/venv/bin|.*/\.?venv/bin|/root/\.local/bin|/home/[^/]+/\.local/bin|~/\.local/bin|.*/\.poetry/bin|.*/\.cargo/bin"
    r"|/opt/[a-z]*(?:conda|mamba|forge)\d?(?:/.*)?/(?:conda)?bin|.*/poetry[^/]*/bin|/usr/local/(?:s?bin|nvidia/bin|cuda/bin)"
    r"|/usr/s?bin|/s?bin|.*/\.pyenv/.*|.*/node_modules/.*|\$.*"
)
_CACHE = re.compile(r"(?:.*_)?(?:CACHE|CACHE_DIR|CACHE_HOME|CONFIGDIR)|HF_HOME|TORCH_HOME|NLTK_DATA")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TASKS_SET = (
    "HF_HOME",
    "TORCH_HOME",
    "XDG_CACHE_HOME",
    "MPLCONFIGDIR",
    "NUMBA_CACHE_DIR",
    "TRITON_CACHE_DIR",
)


def settle_surroundings(settling: Settling) -> None:
    for name, said in settling.draft.env.items():
        _variable(settling, name, said)
    _path(settling)
    for name, said in settling.draft.labels.items():
        problem = (
            settling.document.add("labels", name, said.value)
            if name == name.lower()
            else "no label of lower case"
        )
        settling.outcome(said, f"labels: {name}", problem)
    for said in settling.draft.ports.values():
        _ports(settling, said)
    if (stop := settling.draft.stop_signal) is not None:
        value = stop.value if stop.value.startswith("SIG") else f"SIG{stop.value}"
        value = {"SIG2": "SIGINT", "SIG3": "SIGQUIT", "SIG9": "SIGKILL", "SIG15": "SIGTERM"}.get(value, value)
        settling.outcome(stop, f'stop_signal = "{value}"', settling.document.put("stop_signal", value))
    _user(settling)


def _variable(settling: Settling, name: str, said: Said) -> None:
    value = settling.places.rewrite(said.value)
    if name == "PYTHONPATH":
        value = ":".join(map(settling.places.folder, said.value.split(":")))
    is_switch = re.fullmatch(r"\d+|true|false", value, re.IGNORECASE) is not None
    if (named_credential(name) and not is_switch) or token_in(value.encode("utf-8", "surrogatepass")):
        if value:
            note = (
                f"{name} is a credential: name it under `secrets` of a task or step, and set it when you run"
            )
            settling.say(said, Fate.LOST, note)
        else:
            settling.say(said, Fate.NOT_NEEDED, f"{name} is empty")
        return
    if _TOOLS.fullmatch(name) or _ALREADY.get(name) == value or (name in _OF_CUDA and not settling.is_kept):
        settling.say(said, Fate.NOT_NEEDED, f"{name}: set by lading, or for tools that no image needs")
        return
    if _CACHE.fullmatch(name) and value.startswith(f"{CODE}/"):
        kept = bool(settling.draft.steps)
        value = f"{'/opt' if kept else '/tmp'}/{value.rpartition('/')[2].lstrip('.')}"
        if kept:
            settling.draft.system.folders.setdefault(value)
        moved = {**settling.places.moved, said.value.rstrip("/"): value}
        settling.places = replace(settling.places, moved=moved)
        note = f'env: {name} = "{value}", because the code is not written to'
        settling.outcome(said, note, settling.document.add("env", name, value))
        return
    note = f"env: {name}"
    if value != said.value:
        note += f' = "{value}"'
    if name in _TASKS_SET:
        note += "; tasks that lading runs have caches of their own"
    settling.outcome(said, note, settling.document.add("env", name, value))


def _path(settling: Settling) -> None:
    """Folders before PATH; where Python packages have their programs is /opt/venv/bin, which comes first."""
    own = []
    for folder, said in settling.draft.path.items():
        here = settling.places.rewrite(folder)
        if _PACKAGE_BIN.fullmatch(folder) or _PACKAGE_BIN.fullmatch(here):
            settling.say(
                said, Fate.NOT_NEEDED, f"PATH: {folder} is in it, or is /opt/venv/bin here, which comes first"
            )
        elif settling.is_kept:
            note = f"PATH: {folder}: only the base knows its PATH, which stays; call it by its path"
            settling.say(said, Fate.LOST, note)
        else:
            own.append(here)
            settling.say(said, Fate.CARRIED, f"env: PATH, with {here}")
    if own:
        settling.document.add("env", "PATH", ":".join(["/opt/venv/bin", *own, _DEFAULT_PATH]))


def _ports(settling: Settling, said: Said) -> None:
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?(/(?:tcp|udp))?", said.value.lower())
    if match is None:
        settling.say(said, Fate.LOST, f"{said.value} is no port")
        return
    first, last, protocol = int(match[1]), int(match[2] or match[1]), match[3] or ""
    if not 0 <= last - first < 64:
        settling.say(
            said, Fate.LOST, f"{said.value}: too many ports to list; a port need not be exposed to be reached"
        )
        return
    numbers: list[object] = [f"{n}/udp" if protocol == "/udp" else n for n in range(first, last + 1)]
    ports = list(dict.fromkeys([*settling.document.image.get("ports", []), *numbers]))
    settling.outcome(said, f"ports = {numbers}".replace("'", '"'), settling.document.put("ports", ports))


def _user(settling: Settling) -> None:
    said = settling.draft.user
    if said is None:
        settling.notes.append(
            'the Dockerfile runs as root, this image as 1000:1000; [image] user = "0:0" is root again'
        )
        return
    name, _, group = said.value.partition(":")
    known = settling.draft.system.users
    if re.fullmatch(r"\d{1,9}", name):
        uid, gid = int(name), int(group) if re.fullmatch(r"\d{1,9}", group) else int(name)
    elif name in known:
        uid, gid = known[name]
        gid = int(group) if re.fullmatch(r"\d{1,9}", group) else gid
    else:
        who = f"{name}'s" if name else "the user's"
        settling.say(said, Fate.CARRIED, f"user 1000:1000, the default: no instruction says {who} number")
        return
    value = f"{uid}:{gid}"
    if value == "1000:1000":
        settling.say(said, Fate.CARRIED, "user 1000:1000, the default")
    else:
        settling.outcome(said, f'user = "{value}"', settling.document.put("user", value))
