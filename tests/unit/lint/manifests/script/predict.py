"""A command line tool."""

import argparse
import pickle
from pathlib import Path

import numpy as np
import torch.hub


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trust_remote_code", action="store_true")
    arguments = parser.parse_args()
    backbone = torch.hub.load("facebookresearch/dinov2", "dinov2_vits14")
    pinned = torch.hub.load("facebookresearch/dinov2:b48308a394a04ccb9c4dd3a1f0a4daa1ce0579b8", "dinov2_vits14")
    head = pickle.loads(Path("head.pkl").read_bytes())
    print(backbone, pinned, head, np.zeros(1), arguments)
