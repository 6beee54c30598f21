import sys
from pathlib import Path

import packaging
import six

print("cuda", Path("/usr/local/cuda/version.txt").read_text().strip(), *sys.argv[1:])
print(sorted(path.name for path in Path("kernels").iterdir()), six.__version__, packaging.__name__)
