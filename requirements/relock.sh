#!/bin/sh
# Makes the hashed lock files again, for every Python lading supports. Indexes come from uv's own settings.
set -eu
cd "$(dirname "$0")/.."
compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-header --no-emit-index-url --no-emit-find-links "$@"
}
compile pyproject.toml requirements/build.in --upgrade --output-file requirements/runtime.txt
compile requirements/dev.in --upgrade --output-file requirements/dev.txt
# What an exported Dockerfile installs wheels with is what lading resolves with.
sed -n '/^uv==/,/[^\\]$/p' requirements/runtime.txt > src/lading/convert/exporting/uv.txt
