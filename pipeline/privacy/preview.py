"""What a detector found, drawn into a picture, for somebody who wants to see what would be hidden."""

import cv2
import numpy as np

from pipeline.privacy.instances import Instances

_DETECTED, _FILLED, _FAILED = (0, 255, 0), (255, 255, 0), (255, 0, 0)


def draw(image: np.ndarray, instances: Instances) -> None:
    """Draw the boxes in place: green with a score, yellow where one was filled in between two detections.

    A red border marks a frame on which the detector failed, which would be hidden whole. The image is uint8 (height,
    width, 3), RGB, upright.
    """
    height, width = image.shape[:2]
    line = max(1, round(max(height, width) / 500))
    for box, score, filled in zip(instances.boxes, instances.scores, instances.filled, strict=True):
        x1, y1, x2, y2 = np.rint(box * [width, height, width, height]).astype(int).tolist()
        colour = _FILLED if filled else _DETECTED
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, line)
        words = f"{score:.2f}" + (" filled in" if filled else "")
        below = max(y1 - 2 * line, 12 * line)  # in the picture even where the box touches its upper edge
        cv2.putText(image, words, (x1, below), cv2.FONT_HERSHEY_SIMPLEX, 0.4 * line, colour, line)
    if instances.failed:
        cv2.rectangle(image, (0, 0), (width - 1, height - 1), _FAILED, 3 * line)
