"""Bring a folder up, ask the served model for a prediction, check it, and stop the service again.

    python examples/demo.py examples/digits

Standard library only. Ends with status 0 when the right answer came, 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LETTERS = "\n !',-.:;?abcdefghijklmnopqrstuvwxyz"
EXPECTED = {"digits": "7", "text": "t"}
QUESTION = {"digits": "the digit is a", "text": "after `shall i compare ` comes"}


def lading(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The `lading` that stands beside this Python, else the one in PATH."""
    beside = Path(sys.executable).parent / "lading"
    program = str(beside) if beside.exists() else shutil.which("lading") or "lading"
    return subprocess.run([program, *arguments], text=True, **options)


def ask(url: str, request: bytes) -> dict[str, Any]:
    """One inference by the Open Inference Protocol; `url` is the model's own, ending in /v2/models/NAME."""
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{url}/infer", request, headers), timeout=60
    ) as answer:
        document: dict[str, Any] = json.load(answer)
    return document


def read_answer(example: str, answer: dict[str, Any]) -> str:
    """The model's answer as a person would say it."""
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    if example == "digits":
        return str(outputs["label"][0])
    scores: Sequence[float] = outputs["scores"]
    return LETTERS[max(range(len(scores)), key=scores.__getitem__)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="examples/digits or examples/text")
    folder = parser.parse_args().folder.resolve()
    # What `up` and the training say goes to the terminal; its one line of JSON is data.
    document = json.loads(lading("up", "--json", str(folder), stdout=subprocess.PIPE, check=True).stdout)
    name = document["model"].partition("@")[0]
    try:
        service = find_service(document["url"])
        answer = ask(f"{document['url']}/v2/models/{name}", (folder / "sample.json").read_bytes())
    finally:
        lading("stop", "--json", name, stdout=subprocess.DEVNULL, check=True)
    said, expected = read_answer(folder.name, answer), EXPECTED[folder.name]
    print(f"served at {document['url']}, now stopped")
    print(f"level: {service['level']}")
    print(f"{QUESTION[folder.name]} {said}: {'right' if said == expected else f'wrong, it is {expected}'}")
    return 0 if said == expected else 1


def find_service(url: str) -> dict[str, Any]:
    """The running container that answers at `url`, as `lading ps` knows it."""
    listed = lading("ps", "--all", "--json", stdout=subprocess.PIPE, check=True).stdout
    containers: list[dict[str, Any]] = [json.loads(line) for line in listed.splitlines()]
    return next(container for container in containers if url in container["what"].split())


if __name__ == "__main__":
    sys.exit(main())
