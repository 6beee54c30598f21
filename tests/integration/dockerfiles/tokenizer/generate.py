import os
import sys
from pathlib import Path

from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("/opt/tokenizer.json")
print(
    tokenizer.encode(sys.argv[1]).ids, os.environ["HF_HOME"], Path("/opt/tokenizer.made").read_text().strip()
)
