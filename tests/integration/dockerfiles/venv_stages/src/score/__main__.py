import os
import sys

import six
import yaml

with open(sys.argv[1]) as file:
    settings = yaml.safe_load(file)
print("threshold", settings["threshold"], "six", six.__version__, "user", os.getuid())
