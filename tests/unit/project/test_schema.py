"""The schema for editors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lading.project import schema
from lading.project.keys import SERVE_KEYS, TASK_KEYS
from lading.project.values import PYTHONS


def test_the_schema_file_is_what_the_table_of_keys_gives() -> None:
    """Renew it with `python -m lading.project.schema > src/lading/project/schema.json`."""
    done = subprocess.run(
        [sys.executable, "-m", "lading.project.schema"], capture_output=True, text=True, check=True
    )
    assert done.stdout == Path(schema.__file__).with_name("schema.json").read_text("utf-8")


def test_every_key_is_in_the_schema_with_its_meaning() -> None:
    document = schema.json_schema()
    assert set(document["$defs"]["task"]["properties"]) == set(TASK_KEYS)
    assert set(document["properties"]["serve"]["properties"]) == set(SERVE_KEYS)
    assert document["properties"]["image"]["properties"]["python"]["enum"] == list(PYTHONS)
    for table in (
        document["$defs"]["task"],
        document["properties"]["serve"],
        document["properties"]["image"],
    ):
        for name, key in table["properties"].items():
            assert "$ref" in str(key) or key["description"], name
