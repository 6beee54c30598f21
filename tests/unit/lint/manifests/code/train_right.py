import os

import torch


def fit(model, epochs):
    for _ in range(epochs):
        torch.save(model.state_dict(), "last.pt.new")
        os.replace("last.pt.new", "last.pt")
