"""Decoding a frame of a frame store with OpenCV: within the limits of any frame."""

import cv2
import numpy as np
import simplejpeg

from pipeline.media.limits import check_frame
from pipeline.runtime.errors import VideoError


def decode_stored(jpeg: np.ndarray, kind: int) -> np.ndarray:
    """A stored frame, uint8 (height, width, 3), of its bytes; ``kind``: ``cv2.IMREAD_COLOR`` (BGR) or ``…_COLOR_RGB``.

    Raises:
        VideoError: it is no JPEG image, or a larger one than any frame may be.
    """
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    except ValueError:
        height = width = 0
    check_frame(width, height)
    image = cv2.imdecode(jpeg, kind) if height else None
    if image is None:
        raise VideoError("a stored frame is no JPEG image; delete the frame shard and make it again")
    return np.asarray(image)
