"""pip, and uv's pip: which packages and files a command asks for. Pure.

Source: pip's manual. An option that changes nothing about which packages are wanted is passed by.
"""

from __future__ import annotations

import re

from lading.convert.importing.model import Fate
from lading.convert.importing.wanted import Said, Wanted, Where, options
from lading.project.requirement_lines import requirement_name
from lading.project.tokens import has_userinfo, token_in, without_userinfo

ISOLATION = "--no-build-isolation"
_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_TOOLS = frozenset(
    {
        "pip", "wheel", "uv", "poetry", "poetry-core", "pipenv", "virtualenv", "pip-tools", "pdm",
        "hatch", "poetry-plugin-export",
    }
)  # fmt: skip
_TORCH_INDEX = re.compile(r"/whl/(?:nightly/)?(cpu|cu[1-9]\d{2})/?$")


def pip_command(command: str, words: tuple[str, ...], where: Where, wanted: Wanted) -> list[Said] | None:
    if command in ("cache", "config", "check", "list", "show", "freeze", "debug", "--version", "uninstall"):
        lost = command == "uninstall"
        return (
            [(Fate.LOST, "what is not wanted is left out of the requirements")]
            if lost
            else [(Fate.NOT_NEEDED, "it leaves nothing in an image")]
        )
    if command not in ("install", "sync", "wheel", "download"):
        return None
    said: list[Said] = []
    named: list[str] = []
    only_tools = True
    before = set(wanted.lines)
    for option, value in options(words):
        if option in ("-r", "--requirement", "--requirements") or (command == "sync" and not option):
            only_tools = False
            said += _requirements(value, where, wanted)
        elif option in ("-c", "--constraint", "--constraints", "--override"):
            said += _constraint(value, where, wanted)
        elif option in ("-e", "--editable") or not option:
            found = _package(value, where, wanted)
            only_tools = only_tools and found is None
            named += [value] if found is None else []
            said += found or []
        else:
            said += _pip_option(option, value, where, wanted)
    if named and only_tools and not said:
        return [(Fate.NOT_NEEDED, f"{', '.join(named)}: an image needs no installer")]
    if named:
        said.append((Fate.NOT_NEEDED, f"{', '.join(named)}: an image needs no installer"))
    if ISOLATION in words:
        said += _unisolated(set(wanted.lines) - before, wanted)
    return said


def _unisolated(lines: set[str], wanted: Wanted) -> list[Said]:
    names = sorted(name for line in lines if "://" not in line and (name := requirement_name(line)))
    wanted.unisolated.update((name, None) for name in names)
    return [(Fate.LOST, f"{ISOLATION}: name what a build imports under [image.build.NAME] needs")]


def _requirements(path: str, where: Where, wanted: Wanted) -> list[Said]:
    full = where.absolute(path)
    if manager := wanted.exported.get(full):
        wanted.managers.setdefault(manager)
        return [(Fate.CARRIED, f"requirements, as {manager} has locked them")]
    found = where.to_context(full)
    if found is None:
        return [
            (
                Fate.LOST,
                f"{path} is not of the build context: write its requirements into a file of the project",
            )
        ]
    if found.rpartition("/")[2] == "pyproject.toml":
        wanted.is_project = True
        return [(Fate.CARRIED, "the dependencies in pyproject.toml")]
    wanted.files.setdefault(found)
    return [(Fate.CARRIED, f"requirements from {found}")]


def _constraint(path: str, where: Where, wanted: Wanted) -> list[Said]:
    found = where.to_context(where.absolute(path))
    if found is None:
        return [(Fate.LOST, f"the constraints {path} are not of the build context")]
    wanted.constraints.setdefault(found)
    return [(Fate.CARRIED, f"constraints from {found}")]


def _package(text: str, where: Where, wanted: Wanted) -> list[Said] | None:
    """One package of `pip install`; None for an installer."""
    if token_in(text.encode("utf-8", "surrogatepass")):
        return [(Fate.LOST, "it holds what looks like a credential: keep it in ~/.netrc")]
    bare, extras = re.fullmatch(r"(.*?)((?:\[[^\]]*\])?)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    if re.match(r"(?:git|hg|svn|bzr)\+|\w+://", text) or " @ " in text:
        if has_userinfo(text):
            return [
                (
                    Fate.LOST,
                    f"{without_userinfo(text)} holds credentials: let Git's helper or ~/.netrc hold them",
                )
            ]
        wanted.lines.setdefault(text)
        return [(Fate.CARRIED, f"requirement {text}")]
    if (
        bare in (".", "./")
        or bare.startswith(("/", "./", "../", "~"))
        or bare.endswith((".whl", ".tar.gz", ".zip"))
    ):
        return _path(bare, extras, where, wanted)
    try:
        name = requirement_name(text)
    except ValueError:
        return [(Fate.LOST, f"{text!r} is no requirement that can be read")]
    if name in _TOOLS or (name == "setuptools" and text == "setuptools"):
        return None
    wanted.lines.setdefault(text)
    return [(Fate.CARRIED, f"requirement {text}")]


def _path(bare: str, extras: str, where: Where, wanted: Wanted) -> list[Said]:
    full = where.absolute(bare)
    found = where.to_context(full)
    if found is None:  # its files were copied one by one
        files = (where.to_context(f"{full}/{name}") for name in _PROJECT_FILES)
        found = next((file.rpartition("/")[0] for file in files if file is not None), None)
    if found in ("", "."):
        wanted.is_project = True
        wanted.groups.update((name.strip(), None) for name in extras.strip("[]").split(",") if name.strip())
        return [(Fate.CARRIED, f"the project itself{extras and f', with {extras}'}, with its dependencies")]
    if found is not None:
        is_archive = found.endswith((".whl", ".tar.gz", ".zip"))
        if not is_archive and not any(where.is_file(f"{found}/{name}") for name in _PROJECT_FILES[:2]):
            return [(Fate.LOST, f"{found} has neither pyproject.toml nor setup.py")]
        wanted.lines.setdefault(f"./{found}{extras}")
        return [(Fate.CARRIED, f"requirement ./{found}{extras}")]
    if any(full == prefix or full.startswith(f"{prefix}/") for prefix in wanted.prefixes) or "*" in bare:
        return [(Fate.NOT_NEEDED, "the wheels of what is installed already")]
    return [(Fate.LOST, f"{bare} is not of the build context")]


def _pip_option(option: str, value: str, where: Where, wanted: Wanted) -> list[Said]:
    if option in (
        "-i",
        "--index-url",
        "--extra-index-url",
        "--default-index",
        "--index",
        "-f",
        "--find-links",
    ):
        return _index(option, value, where, wanted)
    if option in ("-t", "--target", "--prefix", "--root", "-w", "--wheel-dir"):
        wanted.prefixes.setdefault(where.absolute(value))
        return []
    if option == "--torch-backend" and re.fullmatch(r"cpu|cu\d{3}", value):
        wanted.accelerator = value
        return [(Fate.CARRIED, f'accelerator = "{value}"')]
    if option in ("--extra", "--group"):
        wanted.groups.setdefault(value)
        return [(Fate.CARRIED, f"groups: {value}")]
    if option == "--no-deps":
        return [(Fate.LOST, "--no-deps: what the packages need is installed too")]
    if option == "--pre":
        wanted.options.setdefault("--pre")
    return []


def _index(option: str, value: str, where: Where, wanted: Wanted) -> list[Said]:
    if match := _TORCH_INDEX.search(value):
        wanted.accelerator = match[1]
        return [(Fate.CARRIED, f'accelerator = "{match[1]}", whose index is known')]
    if token_in(value.encode("utf-8", "surrogatepass")):
        return [(Fate.LOST, "the index's URL holds what looks like a credential: keep it in PIP_INDEX_URL")]
    if has_userinfo(value):
        shown = without_userinfo(value)
        return [
            (Fate.LOST, f"{shown} holds credentials: keep them in ~/.netrc, and the URL in PIP_INDEX_URL")
        ]
    if option in ("-f", "--find-links"):
        if "://" not in value:
            found = where.to_context(where.absolute(value))
            if found is None:
                return [(Fate.NOT_NEEDED, f"{value}: wheels are found when locking")]
            value = f"./{found}"
        wanted.options.setdefault(f"--find-links {value}")
        return [(Fate.CARRIED, f"--find-links {value}")]
    main = option in ("-i", "--index-url", "--default-index")
    line = f"{'--index-url' if main else '--extra-index-url'} {value}"
    wanted.options.setdefault(line)
    return [(Fate.CARRIED, line)]
