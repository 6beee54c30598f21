"""Loads what others made."""

import pickle

import joblib
import torch
from huggingface_hub import hf_hub_download
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("org/model", trust_remote_code=True)
weights = torch.load("weights.pt", weights_only=False)
path = hf_hub_download("org/tree", "model.joblib")
tree = joblib.load(path)
with open("own-cache.pkl", "rb") as file:
    cache = pickle.load(file)
