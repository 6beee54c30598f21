"""`lading push`: `lading build --push` with the destination as its first word."""

from __future__ import annotations

import argparse

from lading.cli import build
from lading.cli.building import add_folder
from lading.cli.parser import Parser
from lading.cli.session import Session

ABOUT = """Push one image of the project to a registry, and print its name with its digest there.

Layers that the registry has are neither built nor sent; those that another repository of it has are mounted.
Interrupted, it goes on where it stopped. SBOM and provenance go along as referrers. Log in with
`docker login` or `podman login`: their files and helpers are read."""
EXAMPLES = """Examples:
  lading push registry.example/team/digits
  lading push registry.example/team/digits:1.4 examples/digits --target serve
  lading push registry.example/team/digits --platform linux/amd64,linux/arm64
  kubectl set image deploy/digits server=$(lading push registry.example/team/digits)"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("push", metavar="REFERENCE", help="HOST/REPOSITORY[:TAG]; the tag is the image's own")
    add_folder(parser)
    build.add_image_options(parser)


def execute(options: argparse.Namespace, session: Session) -> int:
    return build.execute(options, session)
