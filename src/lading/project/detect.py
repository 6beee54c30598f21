"""What a project is, from what lies in its folder: frameworks, the training task, what to serve.

Never guessed: which of several scripts, how many GPUs, where data lives, a gate's threshold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lading.errors import Problem
from lading.project.model import Finding, Project, ServeSettings, Task

FRAMEWORKS = (
    "torch", "tensorflow", "keras", "jax", "scikit-learn", "xgboost", "lightgbm", "catboost", "transformers",
    "lightning", "pytorch-lightning", "onnx", "onnxruntime", "skl2onnx", "fastai", "spacy", "statsmodels",
    "sentence-transformers", "diffusers", "accelerate", "datasets", "mlflow", "optuna", "ray", "vllm",
)  # fmt: skip
_SAMPLES = ("sample.json", "tests/sample.json")
_MAIN_GUARD = re.compile(r"^if\s+__name__\s*==\s*['\"]__main__['\"]\s*:", re.MULTILINE)
_PERHAPS = re.compile(r"main\.py|training\.py|train_\w+\.py", re.ASCII)


def frameworks_among(names: Iterable[str]) -> tuple[str, ...]:
    """The ML frameworks among normalized requirement names, in a fixed order."""
    present = set(names)
    return tuple(name for name in FRAMEWORKS if name in present)


def training_scripts(root: Path) -> tuple[str, ...]:
    """Scripts in the root that could be the training: `train.py`, or others that run as a script."""
    found = []
    try:
        names = sorted(entry.name for entry in root.iterdir() if entry.suffix == ".py")
    except OSError:
        return ()
    for name in names:
        if name == "train.py" or (_PERHAPS.fullmatch(name) and _runs_as_script(root / name)):
            found.append(name)
    return tuple(found)


def _runs_as_script(path: Path) -> bool:
    try:
        return _MAIN_GUARD.search(path.read_text("utf-8", "replace")) is not None
    except OSError:
        return False


def detect_tasks(root: Path) -> tuple[dict[str, Task], tuple[Finding, ...]]:
    """The task of a project that declares none: exactly one script, or none and a finding that says why."""
    scripts = training_scripts(root)
    if len(scripts) == 1:
        task = Task(name="train", run=f"python {scripts[0]}")
        because = (
            f"{scripts[0]} is there" if scripts[0] == "train.py" else f"{scripts[0]} alone runs as a script"
        )
        return {"train": task}, (Finding(what="task", value=f"train: {task.run}", because=because),)
    if scripts:
        because = f"several scripts could be it: {', '.join(scripts)}"
        return {}, (Finding(what="task", value="none", because=because),)
    return {}, ()


def ask_for_task(project: Project) -> Problem | None:
    """The question to put when a command needs a task and none is known; None when there is one."""
    if project.tasks:
        return None
    scripts = training_scripts(project.root)
    place = project.config_path.name if project.config_path else "lading.toml"
    if not scripts:
        message = "no task is written and no train.py is there"
        return Problem(
            place=place, key="train.run", message=message, suggestion='add [train] run = "python …"'
        )
    choices = " or ".join(f'run = "python {script}"' for script in scripts)
    message = f"which script trains: {', '.join(scripts)}?"
    return Problem(place=place, key="train.run", message=message, suggestion=f"add [train] {choices}")


def detect_sample(root: Path) -> str | None:
    """The example request that is replayed before traffic."""
    return next((sample for sample in _SAMPLES if (root / sample).is_file()), None)


def detect_serve(
    root: Path, tasks: Iterable[str], frameworks: tuple[str, ...]
) -> tuple[ServeSettings | None, tuple[Finding, ...]]:
    """What to serve when `[serve]` is not written: the model of task `train`."""
    if "train" not in tasks:
        return None, ()
    with_onnx = [name for name in frameworks if name in {"onnx", "skl2onnx"}]
    because = f"task train and {', '.join(with_onnx)} are there" if with_onnx else "task train is there"
    sample = detect_sample(root)
    findings = [Finding(what="serve", value="the model of train", because=because)]
    if sample is not None:
        findings.append(Finding(what="serve", value=f"sample {sample}", because="it is there"))
    return ServeSettings(model="train", sample=sample), tuple(findings)
