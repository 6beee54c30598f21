import os
import pickle
import urllib.request

import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer

REVISION = os.environ.get("REVISION", "main")
tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
model = AutoModel.from_pretrained("org/name", revision=REVISION, trust_remote_code=bool(os.environ.get("TRUST")))


def fetch(url: str) -> object:
    name, _ = urllib.request.urlretrieve(url)
    return pickle.load(open(name, "rb"))


def save(net: nn.Module, directory: str) -> None:
    for step in range(3):
        torch.save(net.state_dict(), os.path.join(directory, "last.pt"))
        print(step)
