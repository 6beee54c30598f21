"""Rules about what a project's code uses and its lists name: too much, or too little. Pure.

What packages bring along is known for a few only; a list with any other package is left alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lading.inspect.lint.dependencies import REQUIREMENTS, Dependencies, Unparsable, read_requirements
from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.python_code import read_python
from lading.inspect.lint.roles import Role, is_for_developers, roles_of_name
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.surroundings import Folder, Surroundings

_DEVELOPER_TOOLS = frozenset(
    """
    pytest pytest-cov pytest-xdist pytest-mock black ruff flake8 isort mypy pylint pre-commit tox nox ipdb
    pyright autopep8 yapf coverage jupyterlab
    """.split()  # noqa: SIM905
)
_BRINGS = {
    "accelerate": "torch numpy pyyaml huggingface-hub safetensors",
    "datasets": "numpy pandas pyyaml requests tqdm pyarrow huggingface-hub",
    "fastapi": "pydantic",
    "flask": "click",
    "huggingface-hub": "pyyaml requests tqdm httpx typer",
    "jax": "numpy scipy",
    "lightgbm": "numpy scipy",
    "matplotlib": "numpy pillow",
    "mlflow": "numpy scipy pandas scikit-learn matplotlib flask pyyaml requests pyarrow pydantic click "
    "fastapi uvicorn",
    "onnx": "numpy",
    "onnxruntime": "numpy",
    "opencv-python": "numpy",
    "opencv-python-headless": "numpy",
    "optuna": "numpy tqdm pyyaml",
    "pandas": "numpy",
    "scikit-learn": "numpy scipy joblib",
    "scipy": "numpy",
    "seaborn": "numpy pandas matplotlib",
    "tensorflow": "numpy requests",
    "tokenizers": "huggingface-hub",
    "torchaudio": "torch",
    "torchvision": "torch numpy pillow",
    "transformers": "numpy pyyaml requests tqdm huggingface-hub tokenizers safetensors typer",
    "typer": "click rich",
    "uvicorn": "click",
    "xgboost": "numpy scipy",
    "torch": "", "numpy": "", "pillow": "", "pyyaml": "", "requests": "", "tqdm": "", "joblib": "",
    "click": "", "pydantic": "", "rich": "", "httpx": "", "gunicorn": "", "safetensors": "", "pyarrow": "",
    "polars": "",
}  # fmt: skip
"""What each requires, directly, extras left out; what has an empty text requires none of these."""
_MODULES = {
    "cv2": ("opencv-python", "opencv-python-headless"), "fastapi": ("fastapi",), "flask": ("flask",),
    "joblib": ("joblib",), "lightgbm": ("lightgbm",), "matplotlib": ("matplotlib",), "mlflow": ("mlflow",),
    "numpy": ("numpy",), "onnx": ("onnx",), "onnxruntime": ("onnxruntime",), "pandas": ("pandas",),
    "PIL": ("pillow",),
    "scipy": ("scipy",), "seaborn": ("seaborn",), "sklearn": ("scikit-learn",), "tensorflow": ("tensorflow",),
    "torch": ("torch",), "torchvision": ("torchvision",), "transformers": ("transformers",),
    "xgboost": ("xgboost",), "yaml": ("pyyaml",),
}  # fmt: skip
_OTHER_LISTS = ("environment.yml", "environment.yaml", "setup.py", "setup.cfg", "Pipfile", "pixi.toml")


@rule(
    "LDP012", "Lists and code that do not meet", Kind.REQUIREMENTS, Severity.INFO,
    "packaging.python.org: dependency groups", looks_around=True,
)  # fmt: skip
def unlike_the_code(dependencies: Dependencies, around: Surroundings) -> Iterator[Spot]:
    """A test runner or formatter in the list that the image is made from is in every image, with all that it
    needs itself. And a script that imports what nothing in the list brings ends where it begins.

    Said of lists that are for running, and of scripts beside them; what the packages bring along counts.

    Bad:

        [project]
        dependencies = ["torch", "pytest"]      # and train.py: import pandas

    Good:

        [project]
        dependencies = ["torch", "pandas"]
        [dependency-groups]
        dev = ["pytest"]
    """
    others = [path for path in around.folder.listing.sizes if REQUIREMENTS.fullmatch(path)]
    path = around.folder.path
    if not dependencies.runs or (path is not None and is_for_developers(path.absolute().name)):
        return
    if dependencies.name == "setup.py" or not dependencies.entries:
        return
    if all(entry.name in _DEVELOPER_TOOLS for entry in dependencies.entries):
        return  # a list of tools, whatever its name
    if dependencies.is_requirements and dependencies.name != "requirements.txt" and len(others) > 1:
        return  # one list of several: what it is for is not known
    for entry in dependencies.entries:
        if entry.name in _DEVELOPER_TOOLS:
            message = f"{entry.name} is for developers: it does not belong where this runs"
            yield Spot(start=entry.start, message=message)
    if dependencies.is_pyproject and others:
        return  # the other list is asked
    brought = _brought(dependencies, around.folder, others)
    if brought is None:
        return
    for script, module in _imports(around.folder):
        if not brought & set(_MODULES[module]):
            message = f"{script} imports {module}, which nothing in this list brings"
            yield Spot(start=dependencies.entries[0].start, message=message)


def _brought(dependencies: Dependencies, folder: Folder, lists: list[str]) -> set[str] | None:
    """What is installed by the folder's lists together; None where one names what is not known here."""
    if folder.path is None or any(folder.has(name) for name in _OTHER_LISTS):
        return None
    if not dependencies.is_pyproject and folder.has("pyproject.toml"):
        return None
    named, waiting = set[str](), list(dependencies.declared)
    all_lists = [dependencies]
    all_lists += [
        read_requirements(name, folder.read(name) or "") for name in lists if name != dependencies.name
    ]
    for one in all_lists:
        if one.includes_others or any(not entry.name or entry.url for entry in one.entries):
            return None
        waiting += one.declared
    while waiting:
        name = waiting.pop()
        if name in named or name in _DEVELOPER_TOOLS:
            continue
        if name not in _BRINGS:
            return None
        named.add(name)
        waiting += _BRINGS[name].split()
    return named


def _imports(folder: Folder) -> Iterator[tuple[str, str]]:
    """Known modules that a script of the folder imports first of all, once each."""
    seen: set[str] = set()
    for script in sorted(folder.listing.sizes):
        if "/" in script or not script.endswith(".py") or Role.DEV in roles_of_name(script):
            continue
        try:
            tree = read_python(folder.read(script) or "").tree
        except Unparsable:
            continue
        for node in tree.body:
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.append(node.module)
            for module in (name.partition(".")[0] for name in names):
                local = folder.has(f"{module}.py") or folder.has(module)
                if module in _MODULES and module not in seen and not local:
                    seen.add(module)
                    yield script, module
