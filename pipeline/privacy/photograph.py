"""`acta anonymize` on photographs: the detectors and filters of video, on one picture.

What comes out is upright, with its colour profile and nothing else: place, time, device, comments and thumbnails are
dropped. Alpha and 16 bits of grey stay; what cannot be kept is refused, not thinned out in silence.
"""

import re
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from av.video.frame import VideoFrame
from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

from pipeline.config.privacy import ObfuscateSettings, SearchSettings
from pipeline.media.limits import check_photograph
from pipeline.privacy.anonymize import Anonymized
from pipeline.privacy.boxes import iou
from pipeline.privacy.detect_people import detect_frame
from pipeline.privacy.detectors import make_detector
from pipeline.privacy.filters import hide
from pipeline.privacy.instances import DetectedVideo, Instances
from pipeline.privacy.preview import draw
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import atomic, check_no_input, private_files

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
Image.MAX_IMAGE_PIXELS = None  # `pipeline.media.limits` says how many there may be
_WITH_ALPHA, _SIXTEEN_BIT, _WITH_PROFILE = ("PNG", "WEBP", "TIFF"), ("PNG", "TIFF"), ("PNG", "JPEG", "WEBP", "TIFF")
_PLAIN = {"1": "L", "L": "L", "LA": "LA", "P": "RGB", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}
_SIXTEEN_BIT_GREY = ("I;16", "I;16B", "I;16L")
_MAX_SCANS = 200
# What begins a segment of a JPEG: a byte after 0xff that is no data (0), restart (0xd0 to 0xd7) or filling (0xff).
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
_SCAN, _END, _ALONE = b"\xda", b"\xd9", (b"\xd8", b"\x01")  # the latter have no length
_SAME = 0.5  # lowest IoU at which the boxes of two searches are the same instance


@dataclass(frozen=True)
class _Photograph:
    """Pixels, uint8 or uint16, (height, width) or (height, width, 3), upright; and what is written with them."""

    pixels: np.ndarray
    alpha: np.ndarray | None
    profile: bytes | None
    lossless: bool
    saving: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def anonymize_photograph(
    source: Path,
    output: Path,
    detect: SearchSettings,
    obfuscate: ObfuscateSettings,
    *,
    overwrite: bool = False,
    preview: bool = False,
) -> Anonymized:
    """Write ``output``, an anonymised copy of the photograph ``source``.

    It is searched at each network's ``long_side`` and at twice that: a picture of a group has small faces, and one
    picture takes little time. Arguments are those of `anonymize_video`; the suffix of ``output`` is one of `FORMATS`.

    Raises:
        ActaError: ``output`` is there, or its format is unknown or cannot hold what the photograph is.
        VideoError: ``source`` is damaged, or of a kind that is not read.
    """
    form = FORMATS.get(output.suffix.lower())
    if form is None:
        raise ActaError(f"cannot write {output.name} from a photograph: choose one of {' '.join(FORMATS)}")
    check_no_input([output], [source])
    photograph = _fitting(_read(source), form, output)
    instances, count = Instances(), 0
    if obfuscate.filter != "frame":
        instances, count = _search(_shown(photograph.pixels), detect)
    if preview:
        image = _shown(photograph.pixels)
        draw(image, instances)
        photograph = replace(photograph, pixels=image, alpha=None)
    else:
        planes = [photograph.pixels] + ([] if photograph.alpha is None else [photograph.alpha])
        hide(planes, photograph.pixels.shape[:2], instances, obfuscate, black=[0, 255][: len(planes)])
    _write(photograph, output, form, overwrite=overwrite, private=preview)
    kept = DetectedVideo(source.name, "", "", np.zeros(1), [instances])
    failure = (f"detection failed, so the picture is hidden whole: {instances.reason}",) if instances.failed else ()
    return Anonymized(1, count, int(instances.failed), (*photograph.notes, *failure), kept)


def _read(path: Path) -> _Photograph:
    if not path.stat().st_size:
        raise VideoError("empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures and odd tags
            with Image.open(path, formats=sorted(set(FORMATS.values()))) as image:
                return _decoded(image)
    except VideoError:
        raise
    except UnidentifiedImageError:
        raise VideoError(f"damaged, or no photograph that can be read; supported are {' '.join(FORMATS)}") from None
    except Exception as error:  # a damaged file makes the library raise many kinds
        words = str(error).replace(str(path), path.name) or type(error).__name__
        raise VideoError(f"damaged, or not supported: {words}") from None


def _decoded(image: Any) -> _Photograph:
    check_photograph(*image.size)
    notes: tuple[str, ...] = ()
    pictures = getattr(image, "n_frames", 1)
    if pictures > 1 and image.format != "MPO":
        raise VideoError(f"it holds {pictures} pictures (an animation, or pages); save them as a video, or one by one")
    if pictures > 1:
        notes = (f"of its {pictures} pictures only the first is kept (the others: depth, brightness, a second lens)",)
    if _bits(image) > 8 and image.mode not in _SIXTEEN_BIT_GREY:
        raise VideoError(f"{_bits(image)} bits a channel are not read in colour; convert it to 8 bits first")
    if image.mode not in (*_PLAIN, *_SIXTEEN_BIT_GREY):
        raise VideoError(f"colours in {image.mode} are not read; convert it to RGB first")
    saving: dict[str, Any] = {}
    if image.format in ("JPEG", "MPO"):  # as finely as it was
        _check_scans(_stored(image))
        _check_jpeg(_stored(image))
        saving = {"qtables": image.quantization, "subsampling": max(0, JpegImagePlugin.get_sampling(image))}
    lossless = image.format in ("PNG", "BMP", "TIFF") or (
        image.format == "WEBP" and _has_lossless_chunk(_stored(image))
    )
    profile = image.info.get("icc_profile") or None
    pixels, alpha = _pixels(image)
    return _Photograph(pixels, alpha, profile, lossless, saving, notes)


def _pixels(image: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Upright pixels and transparency. Each step frees the picture before it: there is room for few large ones."""
    ImageOps.exif_transpose(image, in_place=True)
    wanted = _PLAIN.get(image.mode, image.mode)
    if "transparency" in image.info and wanted in ("L", "RGB"):
        wanted = "RGBA"
    if wanted != image.mode:
        converted = image.convert(wanted)
        image.close()
        image = converted
    pixels = np.asarray(image)
    image.close()
    if pixels.dtype.itemsize == 2:
        return pixels.astype(np.uint16), None
    if image.mode not in ("LA", "RGBA"):
        return pixels.copy(), None
    colours = pixels[..., 0] if image.mode == "LA" else pixels[..., :3]
    return np.ascontiguousarray(colours), np.ascontiguousarray(pixels[..., -1])


def _check_scans(content: bytes) -> None:
    """Refuse a JPEG with more scans than any encoder writes; each costs as much time as the picture.

    What its segments hold and what lies behind its end are none.
    """
    place = scans = 0
    while (marker := _MARKER.search(content, place)) and marker[1] != _END:
        place = marker.end()
        if marker[1] not in _ALONE:
            scans += marker[1] == _SCAN
            place += int.from_bytes(content[place : place + 2])  # the length of a segment
    if scans > _MAX_SCANS:
        raise VideoError(f"{scans} scans, of which a progressive picture has about ten; at most {_MAX_SCANS} are read")


def _check_jpeg(content: bytes) -> None:
    """Decode it once more with a decoder that fails where it has to guess; a cut-up face may not be found."""
    try:
        simplejpeg.decode_jpeg(content, strict=True)
    except ValueError as error:
        if "extraneous bytes before marker" not in str(error):  # which some cameras write
            raise


def _bits(image: Any) -> int:
    """Bits of a channel as stored; the library would cut colours of more to 8 without a word."""
    if image.format == "PNG":
        return _stored(image)[24]
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(258, (8,))))
    return 8


def _stored(image: Any) -> bytes:
    """The file's bytes; the place up to which the library has read it stays."""
    here = image.fp.tell()
    image.fp.seek(0)
    content: bytes = image.fp.read()
    image.fp.seek(here)
    return content


def _has_lossless_chunk(webp: bytes) -> bool:
    place = 12
    while place + 8 <= len(webp) and webp[place : place + 4] not in (b"VP8 ", b"VP8L"):
        size = int.from_bytes(webp[place + 4 : place + 8], "little")
        place += 8 + size + size % 2
    return webp[place : place + 4] == b"VP8L"


def _fitting(photograph: _Photograph, form: str, output: Path) -> _Photograph:
    """The photograph as a format can hold it; an `ActaError` where that lacks its transparency or its depth."""
    for missing, able, what in (
        (photograph.alpha is not None, _WITH_ALPHA, "transparency"),
        (photograph.pixels.dtype == np.uint16, _SIXTEEN_BIT, "16 bits"),
    ):
        if missing and form not in able:
            suffixes = " ".join(suffix for suffix, name in FORMATS.items() if name in able)
            raise ActaError(f"{output.suffix} cannot hold {what}, which the photograph has; choose one of {suffixes}")
    if photograph.profile and form not in _WITH_PROFILE:
        note = f"{output.suffix} holds no colour profile: it is left out"
        return replace(photograph, profile=None, notes=(*photograph.notes, note))
    return photograph


def _shown(pixels: np.ndarray) -> np.ndarray:
    """A copy as 8-bit RGB; 16 bits are stretched to the brightest pixel, as few photographs use all of them."""
    if pixels.dtype == np.uint16:
        grey = np.rint(np.arange(2**16) * (255 / max(1, int(pixels.max())))).clip(0, 255).astype(np.uint8)
        pixels = grey[pixels]
    return np.array(pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2))


def _search(image: np.ndarray, detect: SearchSettings) -> tuple[Instances, int]:
    """All that is found at one size and at twice that, and how many instances these are."""
    frame = VideoFrame.from_ndarray(image, "rgb24")
    instances = detect_frame(make_detector(detect), frame, detect)
    if all(network.long_side is None or max(image.shape[:2]) <= network.long_side for network in detect.networks):
        return instances, len(instances)
    larger = detect.scaled(2)
    more = detect_frame(make_detector(larger), frame, larger)
    new = int((iou(more.boxes, instances.boxes).max(axis=1, initial=0) < _SAME).sum())
    return instances.joined(more), len(instances) + new


def _write(photograph: _Photograph, output: Path, form: str, *, overwrite: bool, private: bool) -> None:
    saving: dict[str, Any] = {"icc_profile": photograph.profile} if photograph.profile else {}
    if form == "JPEG":
        saving |= photograph.saving or {"quality": 95, "subsampling": 0}
    elif form == "WEBP":
        saving |= {"lossless": photograph.lossless, "quality": 95, "exact": True}
    elif form == "TIFF":
        saving |= {"compression": "tiff_adobe_deflate"}
    pixels, alpha = photograph.pixels, photograph.alpha
    image = Image.fromarray(pixels if alpha is None else np.dstack([pixels, alpha]))
    with atomic(output, overwrite=overwrite) as temporary:
        try:
            if private:
                with private_files():
                    temporary.touch()
            image.save(temporary, form, **saving)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ActaError(f"{output} could not be written: {reason}") from None
