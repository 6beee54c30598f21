import os
from pathlib import Path

import helpers
import six

print(helpers.greeting(os.environ["GREETING"]), os.getuid(), Path.cwd() != Path("/"), six.__version__)
