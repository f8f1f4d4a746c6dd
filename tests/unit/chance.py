"""Files that chance has changed: what a reader makes of them."""

import random
from collections.abc import Sequence

_PIECES = [b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b"'", b"\\", b",", b" ", b"..", b"/", b"9" * 5000]


def damaged(generator: random.Random, content: bytes, pieces: Sequence[bytes] = ()) -> bytes:
    """The content cut, overwritten or repeated in one to three places, with ``pieces`` besides the usual ones."""
    found = bytearray(content)
    for _ in range(generator.randint(1, 3)):
        place, length = generator.randrange(len(found) + 1), generator.choice([0, 1, 1, 3, 10])
        piece = generator.choice([*_PIECES, *pieces, b"", generator.randbytes(2), bytes(found[place : place + 10]) * 2])
        found[place : place + length] = piece
    return bytes(found)
