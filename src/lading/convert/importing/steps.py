"""What is left of RUN becomes [[image.step]], with the files it names and the variables it uses. Pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from lading.convert.importing.draft import DraftStep, Row
from lading.convert.importing.model import Fate
from lading.convert.importing.places import CODE
from lading.convert.importing.programs import compiles, folder_after, packages_of, writes_into_code
from lading.convert.importing.settling import Settling
from lading.convert.importing.spoken import shown_line
from lading.inspect.lint.secrets import named_credential

_NETWORK = re.compile(
    r"https?://|\b(?:curl|wget|git\s+clone|aria2c|huggingface-cli|hf\s+download|gdown|from_pretrained|snapshot_download"
    r"|hf_hub_download|nltk|urlretrieve|urlopen|requests\.get|torch\.hub|load_dataset|download)\b"
)
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_OF_THE_SHELL = frozenset(("PATH", "HOME", "PWD", "USER", "SHELL", "TMPDIR", "RANDOM", "IFS"))
_INSTALLS = re.compile(r"\b(?:pip3?|conda|mamba)\s+install\b")
_KERNEL = ("/tmp", "/run", "/proc", "/sys", "/dev")
NLTK_DATA = "/usr/local/share/nltk_data"
HF_HOME = "/opt/huggingface"


def settle_steps(settling: Settling) -> None:
    """Every step of the draft, and one for the folders that it makes."""
    for step in settling.draft.steps:
        row = Row(line=step.line, instruction=step.instruction, fate=Fate.STEP, became="")
        if lost := _impossible(step):
            settling.say(row, Fate.LOST, lost)
            continue
        left = _outside_code(step, settling)
        if not left.parts:
            continue
        entry, problem = _entry(left, settling)
        problem = problem or settling.document.append("step", entry)
        row = replace(row, instruction=shown_line("RUN", left.text)) if left != step else row
        settling.outcome(row, _said(entry), problem, Fate.STEP)
    _folders(settling)


def _outside_code(step: DraftStep, settling: Settling) -> DraftStep:
    """The step without the parts that plainly write below the code, of which a row is said."""
    folder, kept = _folder(step, settling), []
    for text, does in step.parts:
        here = settling.places.in_step(_filled(text, step))
        if does and writes_into_code(here, folder):
            note = (
                "it writes into the code's folder, which no step can: write to /opt, or use [[image.files]]"
            )
            row = Row(line=step.line, instruction=shown_line("RUN", text), fate=Fate.LOST, became=note)
            settling.rows.append(row)
        else:
            kept.append((text, does))
        folder = folder_after(here, folder)
    while kept and not kept[-1][1]:
        kept.pop()
    return replace(step, parts=tuple(kept))


def _folder(step: DraftStep, settling: Settling) -> str:
    """Where the step runs: of code that the Dockerfile has at `/`, only if it names some."""
    places = settling.places
    here = places.folder(step.folder)
    if step.folder == "/" and here == CODE:
        return CODE if _inputs(places.in_step(_filled(step.text, step)), CODE, settling) else "/"
    return here


def _filled(text: str, step: DraftStep) -> str:
    """The text with the variables that are known, to see which paths it names."""

    def value(match: re.Match[str]) -> str:
        return step.values.get(match[1] or match[2]) or match[0]

    return re.sub(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", value, text)


def _impossible(step: DraftStep) -> str | None:
    if _INSTALLS.search(step.text):
        return "what it installs depends on values that only a run has: add it to the requirements"
    return None


def _entry(step: DraftStep, settling: Settling) -> tuple[dict[str, object], str | None]:
    places = settling.places
    text = re.sub(r"\bpython3\.\d+(?=\s)", "python3", places.in_step(step.text))
    folder = _folder(step, settling)
    inputs = _inputs(places.in_step(_filled(step.text, step)), folder, settling)
    env, secrets, unknown = _variables(step, text, settling)
    if unknown:
        named = ", ".join(unknown)
        return {}, f"{named} has no value here: give --build-arg {unknown[0]}=VALUE"
    _programs(text, settling)
    if "nltk" in text and "download" in text:
        text = f"mkdir -p {NLTK_DATA}\n{text}"
    if re.search(
        r"from_pretrained|snapshot_download|hf_hub_download|huggingface-cli", text
    ) and not _hugging_home(settling):
        settling.document.add("env", "HF_HOME", HF_HOME)
    if folder == "/" and writes_into_code(text, CODE):  # where a step would begin
        text = f"cd /\n{text}"
    if folder not in (CODE, "/") and (not folder.startswith(f"{CODE}/") or _is_there(folder, inputs)):
        text = (
            f"mkdir -p {folder} && cd {folder}\n{text}"
            if not folder.startswith(CODE)
            else f"cd {folder}\n{text}"
        )
    if step.shell and step.shell[0].rpartition("/")[2] == "bash":
        text = f"{shlex.join(step.shell)} {shlex.quote(text)}"
    entry: dict[str, object] = {"run": text.rstrip("\n") + "\n" if "\n" in text else text}
    if inputs:
        entry["inputs"] = inputs
    if env:
        entry["env"] = env
    if step.network if step.network is not None else _NETWORK.search(step.text) is not None:
        entry["network"] = True
    if secrets:
        entry["secrets"] = secrets
    return entry, None


def _programs(text: str, settling: Settling) -> None:
    """Programs that the Dockerfile's base had, or that were left out as compilers, and that a step runs."""
    if settling.is_kept:
        return
    apt = settling.document.image.get("apt", [])
    more = packages_of(text)
    if compiles(text):
        more += settling.draft.system.tools
    if wanted := [name for name in more if name not in apt]:
        settling.document.put("apt", list(dict.fromkeys([*apt, *wanted])))
        settling.notes.append(f"apt has {', '.join(wanted)} too, because a step runs it")


def _hugging_home(settling: Settling) -> bool:
    return any(name in settling.draft.env for name in ("HF_HOME", "TRANSFORMERS_CACHE", "HF_HUB_CACHE"))


def _is_there(folder: str, inputs: list[str]) -> bool:
    inside = folder.removeprefix(f"{CODE}/")
    return any(
        name == inside or name.startswith(f"{inside}/") or inside.startswith(f"{name}/") for name in inputs
    )


def _said(entry: dict[str, object]) -> str:
    inputs = entry.get("inputs")
    more = [f"sees {', '.join(inputs)}"] if isinstance(inputs, list) else []
    more += ["with the network"] if entry.get("network") else []
    note = f"; what it writes under {CODE}, /tmp and HOME is not kept"
    return "[[image.step]]" + (f", {', '.join(more)}" if more else "") + note


def _inputs(text: str, folder: str, settling: Settling) -> list[str]:
    """Files of the context that the command names."""
    context = settling.context
    copied = {one.source for one in settling.draft.copies}
    inside = folder.removeprefix(CODE).strip("/") if folder == CODE or folder.startswith(f"{CODE}/") else None
    found: dict[str, None] = {}
    for word in re.findall(r"[^\s\"'`;|&<>()=,]+", text):
        if word.startswith(f"{CODE}/"):
            name = word.removeprefix(f"{CODE}/").rstrip("/")
        elif inside is not None and not word.startswith(("/", "-", "$")):
            name = f"{inside}/{word}".strip("/").removeprefix("./").rstrip("/")
        else:
            continue
        known = context.is_file(name) or (name and context.is_folder(name))
        if known and any(not one or name == one or name.startswith(f"{one}/") for one in copied):
            found.setdefault(name)
    return list(found)


def _variables(step: DraftStep, text: str, settling: Settling) -> tuple[dict[str, str], list[str], list[str]]:
    """What the command's variables are: values to set, names of secrets, names without a value."""
    env: dict[str, str] = {}
    secrets, unknown = list(step.secrets), []
    kept = settling.document.image.get("env", {})
    for name in dict.fromkeys(_VARIABLE.findall(text)):
        if name in _OF_THE_SHELL or name not in step.values or name in secrets:
            continue
        value = step.values[name]
        if named_credential(name):
            secrets.append(name)
        elif value is None:
            unknown.append(name)
        elif kept.get(name) != settling.places.rewrite(value):
            env[name] = settling.places.rewrite(value)
    return env, secrets, unknown


def _folders(settling: Settling) -> None:
    """Folders made by RUN and WORKDIR: one step before all others; whoever runs may write there."""
    wanted = {settling.places.rewrite(folder) for folder in settling.draft.system.folders}
    if settling.draft.workdir is not None:
        wanted.add(settling.places.folder(settling.draft.workdir.value))
    filled = [entry["destination"] for entry in settling.document.image.get("files", ())]
    made = [
        folder
        for folder in sorted(wanted)
        if folder not in ("/", "/opt/venv")
        and not folder.startswith((CODE, *_KERNEL))
        and not any(path.startswith(f"{folder}/") or path == folder for path in filled)
    ]
    if made:
        names = " ".join(map(shlex.quote, made))
        first = {"run": f"mkdir -p {names} && chmod 1777 {names}"}
        settling.document.image.setdefault("step", []).insert(0, first)
    settling.rows = [_told(row, made, settling) if row.topic == "folder" else row for row in settling.rows]


def _told(row: Row, made: list[str], settling: Settling) -> Row:
    """The row of a `mkdir`, now that it is known where code lies."""
    folders = [settling.places.rewrite(folder) for folder in row.became.removeprefix("folder ").split(", ")]
    if all(folder in made for folder in folders):
        return replace(row, became="[[image.step]]: it is made first, and all may write there")
    if inside := [folder for folder in folders if folder.startswith(f"{CODE}/")]:
        if all(settling.context.is_folder(folder.removeprefix(f"{CODE}/")) for folder in inside):
            return replace(row, fate=Fate.NOT_NEEDED, became="it comes with the code")
        note = f"{', '.join(inside)}: the code is not written to; write to $LADING_OUTPUTS, or mount a folder"
        return replace(row, fate=Fate.LOST, became=note)
    return replace(row, fate=Fate.NOT_NEEDED, became="it is there by itself")
