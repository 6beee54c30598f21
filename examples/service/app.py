"""A server of one's own: which of a few texts is closest to a question, by the letters they share."""

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, Field

TEXTS = (
    "A layer is a tar archive, compressed.",
    "A manifest names a config and its layers by digest.",
    "A gate lets a model through, or does not.",
)

api = FastAPI(title="closest")


class Question(BaseModel):
    text: str = Field(min_length=3, max_length=1000)


def counts(text: str) -> np.ndarray:
    """How often each three letters occur, hashed into 512 places; of length 1."""
    vector = np.zeros(512)
    lower = text.lower()
    for start in range(len(lower) - 2):
        vector[
            sum(ord(letter) * 31**place for place, letter in enumerate(lower[start : start + 3])) % 512
        ] += 1
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


KNOWN = np.stack([counts(text) for text in TEXTS])


@api.get("/health")
def health() -> dict[str, str]:
    return {"status": "ready"}


@api.post("/closest")
def closest(question: Question) -> dict[str, str | float]:
    likeness = KNOWN @ counts(question.text)
    best = int(likeness.argmax())
    return {"text": TEXTS[best], "likeness": round(float(likeness[best]), 4)}
