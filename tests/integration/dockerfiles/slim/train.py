import argparse

import six

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=1)
print(f"trained {parser.parse_args().epochs} epochs with six {six.__version__}")
