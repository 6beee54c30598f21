"""Learns to read handwritten digits: scikit-learn's own 1,797 scans, 8 by 8 grey values from 0 to 16."""

import json
import os
from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

OUTPUTS = Path(os.environ.get("LADING_OUTPUTS", "out"))


def main() -> None:
    pixels, digits = load_digits(return_X_y=True)
    split = train_test_split(pixels, digits, test_size=0.25, random_state=0, stratify=digits)
    train_pixels, test_pixels, train_digits, test_digits = split

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    model.fit(train_pixels, train_digits)
    accuracy = model.score(test_pixels, test_digits)
    print(f"{len(train_digits)} digits learnt, {accuracy:.2%} of {len(test_digits)} others read rightly")

    onnx = to_onnx(
        model,
        initial_types=[("pixels", FloatTensorType([None, 64]))],
        options={id(model): {"zipmap": False}},
    )
    OUTPUTS.mkdir(parents=True, exist_ok=True)
    (OUTPUTS / "model.onnx").write_bytes(onnx.SerializeToString(deterministic=True))
    (OUTPUTS / "metrics.json").write_text(json.dumps({"accuracy": accuracy}))


if __name__ == "__main__":
    main()
