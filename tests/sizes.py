"""Fails for a module over 600 lines or a function over 80: what has grown that far does two things."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

MODULE_LINES = 600
FUNCTION_LINES = 80
ROOT = Path(__file__).parent.parent
FOLDERS = ("src", "tests", "benchmarks", "examples")


def too_long(path: Path) -> list[str]:
    """One sentence for each limit that the file at `path` breaks."""
    source = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT)
    lines = source.count("\n")
    found = [f"{name}: {lines} lines; at most {MODULE_LINES}"] if lines > MODULE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(
                    f"{name}:{node.lineno}: {node.name} has {length} lines; at most {FUNCTION_LINES}"
                )
    return found


def main() -> int:
    found = [
        text
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for text in too_long(path)
    ]
    for text in found:
        print(text, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
