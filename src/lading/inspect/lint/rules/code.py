"""Rules about Python code that loads and keeps models. Pure; a test file is left alone by the engine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.python_code import Call, PythonFile, text_of
from lading.inspect.lint.rule import Kind, rule

_DOWNLOADS = frozenset(
    {
        "huggingface_hub.hf_hub_download", "huggingface_hub.snapshot_download",
        "torch.hub.download_url_to_file", "urllib.request.urlretrieve", "gdown.download", "wget.download",
    }
)  # fmt: skip
_UNPICKLERS = frozenset(
    {"pickle.load", "joblib.load", "dill.load", "cloudpickle.load", "pandas.read_pickle", "torch.load"}
)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_HUB = frozenset({"huggingface_hub.hf_hub_download", "huggingface_hub.snapshot_download"})
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@rule(
    "LDP011", "Code that comes with a model", Kind.CODE, Severity.WARNING,
    "github.com/pytorch/pytorch: SECURITY.md; huggingface.co/docs/hub: security, pickle scanning",
)  # fmt: skip
def foreign_code(file: PythonFile) -> Iterator[Spot]:
    """A pickle runs what its maker wrote in it, and `trust_remote_code` runs files of a repository; without a
    commit, tomorrow's. Said of what is certain: `weights_only=False`, code trusted without a commit, a hub
    asked without a revision, a download unpickled.

    Bad:

        AutoModel.from_pretrained(name, trust_remote_code=True)
        torch.load(path, weights_only=False)

    Good:

        AutoModel.from_pretrained(name, trust_remote_code=True, revision="0123456789abcdef…")
        torch.load(path, weights_only=True)
    """
    for call in file.calls:
        if (message := _said_of(file, call)) is not None:
            yield Spot(start=file.offset(call.node), message=message)


def _said_of(file: PythonFile, call: Call) -> str | None:
    if call.takes_more:
        return None
    if call.name == "torch.load" and _is_false(call.keyword("weights_only")):
        return "weights_only=False runs whatever the file's maker put into it"
    if _is_true(call.keyword("trust_remote_code")):
        revision = call.keyword("revision") or call.keyword("code_revision")
        written = text_of(revision)
        if revision is None or (written is not None and _COMMIT.fullmatch(written) is None):
            return "trust_remote_code without a commit as `revision` runs what is there tomorrow"
        return None
    if call.name == "torch.hub.load":
        source = text_of(call.argument(0, "repo_or_dir"))
        local = text_of(call.keyword("source")) == "local"
        if source is not None and not local and _REPOSITORY.fullmatch(source):
            return f"torch.hub.load({source!r}) names no tag or commit: it runs what is there tomorrow"
    if call.name in _HUB and call.keyword("revision") is None and len(call.node.args) < 4:
        source = text_of(call.argument(0, "repo_id"))
        if source is not None and _REPOSITORY.fullmatch(source):
            return f"{source} is asked for without a `revision`: it is another model after each push"
    if call.name in _UNPICKLERS - {"torch.load"} and _is_downloaded(file, call.argument(0, "file"), 3):
        return f"{call.name} runs whatever the download's maker put into it"
    return None


def _is_downloaded(file: PythonFile, node: ast.expr | None, depth: int) -> bool:
    """Whether a value certainly comes from the network: the call itself, its name, or `open` of either."""
    if node is None or depth == 0:
        return False
    if isinstance(node, ast.Call):
        name = file.name_of(node.func)
        opened = isinstance(node.func, ast.Name) and node.func.id == "open" and node.args
        return name in _DOWNLOADS or bool(opened and _is_downloaded(file, node.args[0], depth - 1))
    if isinstance(node, ast.Name):
        values = file.assigned.get(node.id, [])
        return bool(values) and all(_is_downloaded(file, value, depth - 1) for value in values)
    return False


def loads_a_download(file: PythonFile) -> bool:
    """Whether torch.load is given what was fetched in the same file."""
    return any(
        call.name == "torch.load" and _is_downloaded(file, call.argument(0, "f"), 3) for call in file.calls
    )


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


@rule(
    "LDP013", "A checkpoint written over the last one", Kind.CODE, Severity.INFO,
    "docs.python.org: os.replace",
)  # fmt: skip
def torn_checkpoint(file: PythonFile) -> Iterator[Spot]:
    """A loop that saves to one path again and again has no whole checkpoint while it writes: the pod is
    stopped there, and there is nothing to resume from. Write beside it, then rename.

    Bad:

        for epoch in range(epochs):
            torch.save(state, "last.pt")

    Good:

        for epoch in range(epochs):
            torch.save(state, "last.pt.new")
            os.replace("last.pt.new", "last.pt")
    """
    renames = any(
        call.name.rpartition(".")[2] in {"replace", "rename", "move", "renames"} for call in file.calls
    )
    for call in file.calls:
        if call.name != "torch.save" or not call.in_loop or renames:
            continue
        path = call.argument(1, "f")
        if text_of(path) is not None:
            message = (
                f"a stop while {text_of(path)} is written leaves no checkpoint: write beside it, os.replace"
            )
            yield Spot(start=file.offset(call.node), message=message)
