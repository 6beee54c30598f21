"""Fits a small network to a spiral with plain torch: on a GPU where the run has one, else on the CPU."""

import json
import os
from pathlib import Path

import torch
from torch import nn

OUTPUTS = Path(os.environ.get("LADING_OUTPUTS", "out"))
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def spiral(points: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two arms, one class each."""
    turn = torch.rand(points).sqrt() * 3 * torch.pi
    arm = torch.randint(0, 2, (points,))
    angle = turn + arm * torch.pi
    place = torch.stack((turn * angle.cos(), turn * angle.sin()), dim=1) / (3 * torch.pi)
    return place + 0.01 * torch.randn_like(place), arm


def main() -> None:
    torch.manual_seed(7)
    model = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
    model.to(DEVICE)
    places, arms = (part.to(DEVICE) for part in spiral(4096))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(400):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(places), arms)
        loss.backward()
        optimizer.step()
    unseen, truth = (part.to(DEVICE) for part in spiral(1024))
    accuracy = (model(unseen).argmax(1) == truth).float().mean().item()
    OUTPUTS.mkdir(exist_ok=True)
    torch.save(model.cpu().state_dict(), OUTPUTS / "weights.pt")
    (OUTPUTS / "metrics.json").write_text(json.dumps({"accuracy": accuracy, "loss": loss.item()}))
    print(f"{DEVICE}: accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
