import sys
from pathlib import Path

import nbformat

notebook = nbformat.read(sys.argv[1], as_version=4)
for cell in notebook.cells:
    if cell.cell_type == "code":
        exec(cell.source)
Path(sys.argv[2]).write_text("done")
print(Path(sys.argv[2]).read_text())
