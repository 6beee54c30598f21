"""Where a user's file may lie in an image. Pure.

Paths are canonical (merged /usr), and what lading or the kernel puts somewhere is not written over.
"""

from __future__ import annotations

from lading.project.kinds import Reporter, text
from lading.project.places import KeyPath

_KERNEL = ("proc", "sys", "dev", "run", "tmp")
_OWN = {
    "opt/venv": "the Python environment: what is installed there comes from the requirements",
    "opt/lading": "the model server's",
    "lading": "the folder of a run's inputs and outputs",
    "models": 'where models are served from: [serve] model = "…", bake = true',
}
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_LONGEST_NAME_BYTES = 255


def check_destination(value: object, path: KeyPath, report: Reporter) -> str | None:
    """The path as written, or a problem."""
    checked: str | None = text().check(value, path, report)
    if checked is None:
        return None
    problem = _problem(checked)
    if problem is None:
        return checked
    report(path, *problem)
    return None


def _problem(path: str) -> tuple[str, str | None] | None:
    if not path.startswith("/"):
        return f"{path!r} is not an absolute path", f'write "/app/{path}", or another folder'
    if path.endswith("/"):
        return f"{path!r} ends in a slash", "name the file or folder itself, not where it goes"
    parts = path[1:].split("/")
    if ".." in parts or "." in parts or "" in parts:
        return f"{path!r} is not canonical", 'write it without "..", "." and "//"'
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in path):
        return f"{path!r} holds a control character", None
    if any(len(part.encode("utf-8", "replace")) > _LONGEST_NAME_BYTES for part in parts):
        return f"a name in {path[:40]!r}… is longer than {_LONGEST_NAME_BYTES} bytes", None
    if any(part.startswith(".wh.") for part in parts):
        return f"{path!r} has a name that begins with .wh., which means a removed file", None
    if parts[0] in _MERGED:
        return f"/{parts[0]} is a link to /usr/{parts[0]}", f'write "/usr{path}"'
    if parts[0] in _KERNEL:
        return f"/{parts[0]} is not kept in an image", 'choose another folder, such as "/opt/files"'
    for owned, why in _OWN.items():
        if path == f"/{owned}" or path.startswith(f"/{owned}/"):
            return f"/{owned} is {why}", 'choose another folder, such as "/opt/files"'
    return None
