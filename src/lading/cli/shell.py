"""`lading shell`: look around in an image."""

from __future__ import annotations

import argparse
import sys

from lading.cli.adhoc import add_container_options, check_container_options, find_ready, run_ready
from lading.cli.building import add_build_options
from lading.cli.foreign import add_image_option, ready_image
from lading.cli.parser import Parser
from lading.cli.session import Session

ABOUT = "Open a shell in an image of the project, with the code as it was built, or as it is with --dev."
EXAMPLES = """Examples:
  lading shell
  lading shell serve
  lading shell --dev --network
  lading shell --image registry.example/team/tool:1.4"""


_SHELL = "command -v bash >/dev/null 2>&1 && exec bash; exec sh"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", nargs="*", metavar="[DIR] [TASK|TARGET]", help="default: this folder, train")
    add_build_options(parser, target=False)
    parser.flag("--dev", variable="LADING_DEV", help="mount the working tree over the code")
    add_image_option(parser)
    add_container_options(parser)


def execute(options: argparse.Namespace, session: Session) -> int:
    options.interactive = True
    options.tty = sys.stdin.isatty()
    check_container_options(options, session)
    if options.image is not None:
        ready = ready_image(options.image, options, session)
    else:
        ready = find_ready(options, session)
    return run_ready(ready, ("sh", "-c", _SHELL), options, session)
