"""How long the rules take over 1,000 Dockerfiles in one process.

    python -m benchmarks.lint [FILES]

The files differ in versions and length, so that nothing is answered from a cache of equal shell texts.
"""

from __future__ import annotations

import sys
import time

from lading.inspect.lint.engine import lint_text

_TEXT = """\
ARG VERSION=3.12
FROM nvidia/cuda:12.4.{number}-devel-ubuntu22.04 AS build
ENV DEBIAN_FRONTEND=noninteractive \\
    PIP_NO_CACHE_DIR=1
RUN apt-get update \\
    # what torch needs
    && apt-get install -y --no-install-recommends git curl build-essential \\
    && rm -rf /var/lib/apt/lists/*
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache pip install -r requirements.txt torch=={number}.0 && echo {number}
FROM python:${{VERSION}}-slim
WORKDIR /app
COPY --from=build /opt /opt
COPY . .
RUN if [ -n "$X" ]; then pip install numpy=={number}; fi; for f in *.whl; do pip install "$f"; done
EXPOSE 8000
CMD ["uvicorn", "app:app", "--host", "0.0.0.0"]
"""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    texts = [_TEXT.format(number=number) for number in range(count)]
    lint_text("Dockerfile", texts[0], {})
    begin = time.perf_counter()
    findings = sum(len(lint_text("Dockerfile", text, {})) for text in texts)
    seconds = time.perf_counter() - begin
    print(f"{count} Dockerfiles, {findings} findings: {seconds:.2f} s, {seconds / count * 1e3:.2f} ms each")


if __name__ == "__main__":
    main()
