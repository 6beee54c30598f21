"""Counts the shapes in a picture: OpenCV, the system libraries behind it, and a package without a wheel."""

import json
import os
from pathlib import Path

import cv2
from imutils.contours import sort_contours

OUTPUTS = Path(os.environ.get("LADING_OUTPUTS", "out"))
THRESHOLD = int(os.environ.get("THRESHOLD", "128"))
PICTURE = Path(__file__).parent / "shapes.png"


def main() -> None:
    grey = cv2.imread(str(PICTURE), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise SystemExit(f"{PICTURE.name} cannot be read")
    _, shapes = cv2.threshold(cv2.GaussianBlur(grey, (5, 5), 0), THRESHOLD, 255, cv2.THRESH_BINARY)
    outlines, _ = cv2.findContours(shapes, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    _, boxes = sort_contours(outlines, method="left-to-right")
    metrics = {"shapes": len(outlines), "covered": cv2.countNonZero(shapes) / shapes.size}
    OUTPUTS.mkdir(exist_ok=True)
    (OUTPUTS / "metrics.json").write_text(json.dumps(metrics))
    cv2.imwrite(str(OUTPUTS / "found.png"), shapes)
    print(f"OpenCV {cv2.__version__} sees {metrics['shapes']} shapes, the leftmost at {boxes[0][:2]}")


if __name__ == "__main__":
    main()
