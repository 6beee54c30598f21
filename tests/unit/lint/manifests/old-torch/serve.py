import torch
from huggingface_hub import hf_hub_download

weights = torch.load(hf_hub_download("org/model", "weights.pt", revision="v1"), weights_only=True)
