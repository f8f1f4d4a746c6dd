"""Headers of sound without the comments in them: artists, places, programs."""

# https://xiph.org/vorbis/doc/Vorbis_I_spec.html, 5.2.1: type, mark, no vendor, no comments, framing bit
_NO_COMMENTS = b"\x03vorbis" + bytes(8) + b"\x01"
_STREAMINFO = 34  # bytes; RFC 9639, 8.2


def plain_header(codec: str, given: bytes) -> bytes:
    """What a decoder needs of the source's header; ``codec`` is FFmpeg's name.

    Raises:
        ValueError: it does not follow its standard.
    """
    if codec == "vorbis":
        identification, _, setup = _laced(given)
        sizes = _lace(len(identification)) + _lace(len(_NO_COMMENTS))
        return b"\x02" + sizes + identification + _NO_COMMENTS + setup
    if codec == "flac":
        info = given[8:] if given.startswith(b"fLaC") else given
        if len(info) < _STREAMINFO:
            raise ValueError("a FLAC header that is too short")
        return info[:_STREAMINFO]
    return given


def _laced(data: bytes) -> tuple[bytes, bytes, bytes]:
    """The three headers of Vorbis, in either of FFmpeg's two ways of storing them."""
    if data[:2] == b"\x00\x1e":  # each after its size in two bytes
        first = 2 + int.from_bytes(data[:2], "big")
        second = first + 2 + int.from_bytes(data[first : first + 2], "big")
        third = second + 2 + int.from_bytes(data[second : second + 2], "big")
        headers = data[2:first], data[first + 2 : second], data[second + 2 : third]
    else:  # Xiph's lacing
        sizes, place = [], 1
        for _ in range(2):
            size = 0
            while data[place : place + 1] == b"\xff":
                size, place = size + 255, place + 1
            sizes.append(size + int.from_bytes(data[place : place + 1], "big"))
            place += 1
        second = place + sizes[0]
        headers = data[place:second], data[second : second + sizes[1]], data[second + sizes[1] :]
    if [header[:7] for header in headers] != [b"\x01vorbis", b"\x03vorbis", b"\x05vorbis"]:
        raise ValueError("not the three headers of Vorbis")
    return headers


def _lace(size: int) -> bytes:
    return b"\xff" * (size // 255) + bytes([size % 255])
