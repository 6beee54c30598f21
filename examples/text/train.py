"""Learns which letter comes next in Shakespeare's sonnets, from the sixteen letters before it."""

import json
import math
import os
import warnings
from pathlib import Path

import torch
from torch import nn

OUTPUTS = Path(os.environ.get("LADING_OUTPUTS", "out"))
LEARNING_RATE = float(os.environ.get("LR", "0.01"))
EPOCHS = int(os.environ.get("EPOCHS", "40"))
CONTEXT = 16
LETTERS = "\n !',-.:;?abcdefghijklmnopqrstuvwxyz"


class NextLetter(nn.Module):
    """Letters as numbers, (batch, 16), in; one score for each possible next letter, (batch, 37), out."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(LETTERS), 16)
        self.hidden = nn.Linear(16 * CONTEXT, 192)
        self.drop = nn.Dropout(0.3)
        self.scores = nn.Linear(192, len(LETTERS))

    def forward(self, letters: torch.Tensor) -> torch.Tensor:
        seen = self.embed(letters).flatten(1)
        return self.scores(self.drop(torch.tanh(self.hidden(seen))))


def read_examples() -> tuple[torch.Tensor, torch.Tensor]:
    """Every run of sixteen letters, and the letter that follows it."""
    text = (Path(__file__).parent / "sonnets.txt").read_text(encoding="utf-8").lower()
    numbers = torch.tensor([LETTERS.index(letter) for letter in text])
    windows = numbers.unfold(0, CONTEXT + 1, 1)
    return windows[:, :-1], windows[:, -1]


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    contexts, targets = read_examples()
    model = NextLetter()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for epoch in range(1, EPOCHS + 1):
        model.train()
        for batch in torch.randperm(len(targets)).split(256):
            loss = nn.functional.cross_entropy(model(contexts[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        if epoch % 10 == 0 or epoch == EPOCHS:
            print(f"epoch {epoch} of {EPOCHS}: loss {loss.item():.3f}", flush=True)

    model.eval()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(contexts), targets).item()
    metrics = {"loss": loss, "perplexity": math.exp(loss)}
    print(f"perplexity {metrics['perplexity']:.2f} on the text it has read")
    OUTPUTS.mkdir(parents=True, exist_ok=True)
    # torch's newer exporter writes this file's path into the model; the older one warns, and does not.
    warnings.simplefilter("ignore", DeprecationWarning)
    torch.onnx.export(
        model,
        (contexts[:1],),
        OUTPUTS / "model.onnx",
        input_names=["letters"],
        output_names=["scores"],
        dynamic_axes={"letters": {0: "batch"}, "scores": {0: "batch"}},
        dynamo=False,
    )
    (OUTPUTS / "metrics.json").write_text(json.dumps(metrics))


if __name__ == "__main__":
    main()
