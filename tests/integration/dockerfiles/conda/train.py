import os
from pathlib import Path

import six
import yaml

rows = yaml.safe_load(Path(os.environ["DATA_DIR"], "rows.yaml").read_text())
print("mean", sum(rows) / len(rows), six.__version__)
