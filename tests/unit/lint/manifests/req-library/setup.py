from pathlib import Path

from setuptools import setup

setup(name="library", install_requires=Path("requirements.txt").read_text().splitlines())
