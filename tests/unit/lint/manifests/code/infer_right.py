"""The same, safe."""

import joblib
import torch
from huggingface_hub import hf_hub_download
from transformers import AutoModelForCausalLM

COMMIT = "0123456789abcdef0123456789abcdef01234567"
model = AutoModelForCausalLM.from_pretrained("org/model", trust_remote_code=True, revision=COMMIT)
weights = torch.load("weights.pt", weights_only=True)
path = hf_hub_download("org/tree", "model.safetensors", revision="v1.2")
own = joblib.load("pipeline.joblib")
