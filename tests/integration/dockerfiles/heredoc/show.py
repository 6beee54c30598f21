import configparser
import os
import sys
from pathlib import Path

settings = configparser.ConfigParser()
settings.read("/etc/model.ini")
lines = Path(sys.argv[1], settings["model"]["levels"]).read_text().splitlines()
print(os.environ["MODEL_LABEL"], lines)
