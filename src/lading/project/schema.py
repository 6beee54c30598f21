"""The JSON schema of `lading.toml` for editors (draft 2020-12), made from the table of keys. Pure.

`python -m lading.project.schema` prints it; `schema.json` beside this file is that output.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from lading.project.keys import (
    BUILD_KEYS,
    DATA_KEYS,
    FILE_KEYS,
    GPU_KEYS,
    HEALTH_KEYS,
    LINT_KEYS,
    SCAN_ALLOW_KEYS,
    SCAN_KEYS,
    SECRET_KEYS,
    SERVE_KEYS,
    SHARED_KEYS,
    STEP_KEYS,
    TARGET_KEYS,
    TASK_KEYS,
    Key,
)
from lading.project.values import NAME


def _object(keys: Mapping[str, Key], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    properties = {name: {**key.kind.schema, "description": key.meaning} for name, key in keys.items()}
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


def json_schema() -> dict[str, Any]:
    """The schema of a whole `lading.toml`."""
    image = _object({**SHARED_KEYS, **TARGET_KEYS})
    image["properties"]["allow_secret"] = {"type": "array", "items": {"$ref": "#/$defs/secret"}}
    image["properties"]["build"] = {
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/build"},
        "description": "What the build of a package from source needs, by the package's name.",
    }
    scan = _object(SCAN_KEYS)
    scan["properties"]["allow"] = {"type": "array", "items": {"$ref": "#/$defs/allowed"}}
    image["additionalProperties"] = {"$ref": "#/$defs/target"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lading.toml",
        "description": "What differs from what lading detects. Any other table with `run` is a task.",
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": f"^(?:{NAME})$", "description": "Name of the project."},
            "image": image,
            "data": {"type": "object", "additionalProperties": {"$ref": "#/$defs/data"}},
            "serve": _object(SERVE_KEYS),
            "scan": {"anyOf": [scan, {"$ref": "#/$defs/task"}]},
            "lint": {"anyOf": [_object(LINT_KEYS), {"$ref": "#/$defs/task"}]},
        },
        "additionalProperties": {"$ref": "#/$defs/task"},
        "$defs": {
            "target": _object(TARGET_KEYS),
            "build": _object(BUILD_KEYS),
            "task": _object(TASK_KEYS, required=("run",)),
            "data": _object(DATA_KEYS, required=("source",)),
            "secret": _object(SECRET_KEYS, required=tuple(SECRET_KEYS)),
            "allowed": _object(SCAN_ALLOW_KEYS, required=("finding", "reason", "expires")),
            "file": _object(FILE_KEYS, required=("source", "destination")),
            "step": _object(STEP_KEYS, required=("run",)),
            "healthcheck": _object(HEALTH_KEYS, required=("command",)),
            "gpus": _object(GPU_KEYS, required=("count",)),
        },
    }


def schema_text() -> str:
    """The schema as it stands in `schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
