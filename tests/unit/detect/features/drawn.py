"""Videos in which nothing but a box is light."""

from pathlib import Path

import numpy as np

from tests.shards import stored, write_shard

BOXES = {0.0: [0.1, 0.2, 0.4, 0.9], 0.1: [0.5, 0.0, 0.75, 0.5], 0.2: [0.6, 0.4, 1.0, 0.8]}


def drawn(size: tuple[int, int] = (40, 60)) -> list[np.ndarray]:
    """A dark picture for each of `BOXES` in which its box alone is light, and one with nothing."""
    images = []
    for x1, y1, x2, y2 in [*BOXES.values(), [0, 0, 0, 0]]:
        image = np.full((*size, 3), 20, np.uint8)
        image[round(y1 * size[0]) : round(y2 * size[0]), round(x1 * size[1]) : round(x2 * size[1])] = 230
        images.append(image)
    return images


def write_drawn(folder: Path) -> list[Path]:
    """Two shards; videos v and w are drawn, nobody has named a box of u."""
    videos = [stored(folder / "s", name, drawn(size)) for name, size in (("v", (40, 60)), ("u", (40, 60)))]
    other = [stored(folder / "s", "w", drawn((60, 40)))]
    return [write_shard(folder / "0.h5", videos), write_shard(folder / "1.h5", other)]
