"""Photographs: what is hidden, kept, dropped and refused, format by format."""

import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from pipeline.config.privacy import ObfuscateSettings, SearchSettings
from pipeline.config.whole import Config
from pipeline.privacy import photograph as module
from pipeline.privacy.detectors import _CODE, make_auditor
from pipeline.privacy.instances import Instances
from pipeline.privacy.photograph import FORMATS, anonymize_photograph
from pipeline.runtime.errors import ActaError, VideoError

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
BOX = np.array([0.5, 0.5, 0.75, 0.75], np.float32)
HEIGHT, WIDTH = 64, 96
INSIDE = np.s_[32:48, 48:72]


class Fixed:
    """A detector that always finds the same box."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def __call__(self, image: np.ndarray) -> Instances:
        self.seen.append(image)
        return Instances.of(BOX[None], np.ones(1))


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> Fixed:
    fixed = Fixed()
    monkeypatch.setattr(module, "make_detector", lambda settings: fixed)
    return fixed


@pytest.fixture
def settings(config: Config) -> tuple[SearchSettings, ObfuscateSettings]:
    """Solid boxes that are not enlarged."""
    obfuscate = config.privacy.obfuscate.faces.model_copy(update={"filter": "solid", "enlarge": 1.0})
    return config.privacy.detect.search("faces"), obfuscate


def picture(*channels: int) -> np.ndarray:
    """Plain areas that JPEG keeps, brightest in the corner at the upper left; nowhere dark."""
    image = np.full((HEIGHT, WIDTH, *channels), 100, np.uint8)
    image[:16, :24] = 220
    return image


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def anonymised(source: Path, settings: Any, name: str = "", **options: Any) -> Path:
    output = source.with_name(name or f"out{source.suffix}")
    anonymize_photograph(source, output, *settings, **options)
    return output


# ---- what is hidden


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_format_hides_the_box_and_nothing_else(
    detector: Fixed, settings: Any, tmp_path: Path, suffix: str, mode: str
) -> None:
    image = picture(3) if mode == "RGB" else picture()
    Image.fromarray(image).save(tmp_path / f"in{suffix}")
    done = anonymize_photograph(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}", *settings)
    assert (done.frames, done.instances, done.failed, done.notes) == (1, 1, 0, ())
    after = read(tmp_path / f"out{suffix}").astype(int)
    assert after.shape[:2] == (HEIGHT, WIDTH)
    assert after[INSIDE].max() <= (0 if suffix in (".png", ".bmp", ".tif", ".tiff") else 40)
    outside = np.abs(after - (image if after.ndim == image.ndim else image[..., None]))
    outside[28:52, 44:76] = 0
    assert outside.max() <= (0 if suffix in (".png", ".bmp", ".tif", ".tiff") else 12)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png"])
def test_a_real_face_is_hidden(config: Config, footage: Path, tmp_path: Path, suffix: str) -> None:
    with Image.open(footage / "astronaut.png") as image:
        image.save(tmp_path / f"in{suffix}")
    privacy = config.privacy
    output = anonymised(tmp_path / f"in{suffix}", (privacy.detect.search("faces"), privacy.obfuscate.faces))
    judge = make_auditor("retinaface", 0.4)
    assert [len(judge(read(path))) for path in (tmp_path / f"in{suffix}", output)] == [1, 0]


def test_small_faces_of_a_large_picture_are_found(config: Config, footage: Path, tmp_path: Path) -> None:
    """At 640 pixels these six faces are too small; none of them is counted twice."""
    face = read(footage / "astronaut.png")[0:250, 100:350]
    wide = np.full((400, 1280, 3), 110, np.uint8)
    for k in range(6):
        wide[150:186, 40 + 200 * k : 76 + 200 * k] = np.array(Image.fromarray(face).resize((36, 36)))
    wide[0:120, 1100:1220] = np.array(Image.fromarray(face).resize((120, 120)))
    Image.fromarray(wide).save(tmp_path / "in.png")
    detect = config.privacy.detect.search("faces").model_copy(update={"long_side": 640})
    done = anonymize_photograph(tmp_path / "in.png", tmp_path / "out.png", detect, config.privacy.obfuscate.faces)
    assert done.instances == 7
    judge = make_auditor("centerface", 0.5)
    assert [len(judge(read(tmp_path / name)[:384])) for name in ("in.png", "out.png")] == [6, 0]


@pytest.mark.parametrize(("long_side", "sides"), [(48, [48, 96]), (40, [40, 80]), (96, [96]), (None, [96])])
def test_a_picture_is_searched_at_two_sizes(
    detector: Fixed, settings: Any, tmp_path: Path, long_side: int | None, sides: list[int]
) -> None:
    Image.fromarray(picture(3)).save(tmp_path / "in.png")
    detect = settings[0].model_copy(update={"long_side": long_side})
    done = anonymize_photograph(tmp_path / "in.png", tmp_path / "out.png", detect, settings[1])
    assert [image.shape[1] for image in detector.seen] == sides
    assert done.instances == 1
    assert done.detections is not None
    assert [len(frame) for frame in done.detections.frames] == [len(sides)]


@pytest.mark.parametrize(
    ("bodies", "faces", "sides"),
    [
        (48, 32, [48, 32, 96, 64]),
        (40, None, [40, 96, 80, 96]),
        (None, 40, [96, 40, 96, 80]),
        (48, 96, [48, 96, 96, 96]),
        (96, 95, [96, 95, 96, 96]),
        (96, 96, [96, 96]),
        (100, None, [96, 96]),
        (None, None, [96, 96]),
    ],
)
def test_each_network_of_bodies_sees_a_picture_at_two_sizes(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bodies: Any, faces: Any, sides: list[int]
) -> None:
    fixed = Fixed()
    for name in ("ssdlite", "centerface"):
        monkeypatch.setitem(_CODE, name, lambda *how: fixed)
    (tmp_path / "weights").touch()
    given = {"weights": str(tmp_path / "weights")}
    detect = config.privacy.detect.search("bodies")
    assert detect.faces is not None
    both = {"long_side": bodies, "faces": detect.faces.model_copy(update={"long_side": faces, **given}), **given}
    Image.fromarray(picture(3)).save(tmp_path / "in.png")
    obfuscate = config.privacy.obfuscate.bodies.model_copy(update={"filter": "solid", "enlarge": 1.0})
    done = anonymize_photograph(tmp_path / "in.png", tmp_path / "out.png", detect.model_copy(update=both), obfuscate)
    assert [max(image.shape) for image in fixed.seen] == sides
    assert (done.instances, done.failed) == (2, 0), "the body and the face above none, in whichever search"
    assert (read(tmp_path / "out.png")[INSIDE] == 0).all()


def test_what_only_one_size_shows_is_hidden_and_counted(
    detector: Fixed, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(image: np.ndarray) -> Instances:
        boxes = [[0.5, 0.5, 0.75, 0.75]] if image.shape[1] == 48 else [[0.0, 0.0, 0.25, 0.25], [0.5, 0.5, 0.76, 0.76]]
        return Instances.of(np.array(boxes), np.ones(len(boxes)))

    monkeypatch.setattr(Fixed, "__call__", lambda self, image: find(image))
    Image.fromarray(picture()).save(tmp_path / "in.png")
    detect = settings[0].model_copy(update={"long_side": 48})
    done = anonymize_photograph(tmp_path / "in.png", tmp_path / "out.png", detect, settings[1])
    assert done.instances == 2
    after = read(tmp_path / "out.png")
    assert (after[INSIDE] == 0).all()
    assert (after[:16, :24] == 0).all()


@pytest.mark.parametrize("sides", [(48,), (96,), ()])
def test_one_search_may_find_nothing(
    detector: Fixed, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sides: tuple[int, ...]
) -> None:
    def find(self: Fixed, image: np.ndarray) -> Instances:
        return Instances.of(BOX[None], np.ones(1)) if image.shape[1] in sides else Instances()

    monkeypatch.setattr(Fixed, "__call__", find)
    Image.fromarray(picture()).save(tmp_path / "in.png")
    detect = settings[0].model_copy(update={"long_side": 48})
    done = anonymize_photograph(tmp_path / "in.png", tmp_path / "out.png", detect, settings[1])
    assert done.instances == len(sides)
    assert (read(tmp_path / "out.png")[INSIDE] == 0).all() == bool(sides)


def test_a_failing_detector_hides_the_whole_picture(
    detector: Fixed, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Fixed, image: np.ndarray) -> Instances:
        if image.shape[1] == 48:
            return Instances()
        raise RuntimeError("the runtime gave up")

    monkeypatch.setattr(Fixed, "__call__", fail)
    Image.fromarray(picture()).save(tmp_path / "in.png")
    detect = settings[0].model_copy(update={"long_side": 48})
    done = anonymize_photograph(tmp_path / "in.png", tmp_path / "out.png", detect, settings[1])
    assert (done.instances, done.failed) == (0, 1)
    assert done.notes == ("detection failed, so the picture is hidden whole: the runtime gave up",)
    assert (read(tmp_path / "out.png") == 0).all()


def test_the_filter_frame_needs_no_detector(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "make_detector", lambda settings: pytest.fail("a detector was made"))
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    Image.fromarray(noise).save(tmp_path / "in.png")
    output = anonymised(tmp_path / "in.png", (settings[0], settings[1].model_copy(update={"filter": "frame"})))
    assert read(output).std() < 10


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_pictures_are_searched_and_written_upright(
    detector: Fixed, settings: Any, tmp_path: Path, orientation: int, suffix: str
) -> None:
    """As stored, so that what EXIF says makes them upright: the bright corner is at the upper left of all."""
    how = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions that undo each
    stored = Image.fromarray(picture(3))
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(how[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"in{suffix}", exif=exif)
    with Image.open(anonymised(tmp_path / f"in{suffix}", settings)) as image:
        assert image.getexif().get(0x0112, 1) == 1
        after = np.array(image).astype(int)
    assert np.abs(detector.seen[0].astype(int) - picture(3)).max() < 12
    assert after.shape == (HEIGHT, WIDTH, 3)
    assert after[:12, :20].min() > 200
    assert after[INSIDE].max() < 40
    assert after[-12:, -20:].min() > 80


# ---- what is kept


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_only_the_colour_profile_is_kept(detector: Fixed, settings: Any, tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = "WHERE-IT-WAS", "WHO-IT-WAS"  # description, artist
    exif.get_ifd(0x8825)[1] = "N"  # place
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Comment", "WHAT-IT-WAS")
    extra: dict[str, Any] = {"pnginfo": text} if suffix == ".png" else {"comment": "WHAT-IT-WAS"}
    if suffix in (".jpg", ".webp"):
        extra["xmp"] = b"<x:xmpmeta>WHEN-IT-WAS</x:xmpmeta>"
    source = tmp_path / f"in{suffix}"
    Image.fromarray(picture(3)).save(source, exif=exif, icc_profile=PROFILE, dpi=(301, 301), **extra)
    assert b"WHO-IT-WAS" in source.read_bytes()
    output = anonymised(source, settings)
    content = output.read_bytes()
    assert not [word for word in (b"WHERE", b"WHO-IT", b"WHAT", b"WHEN", b"Exif", b"exif", b"xmp") if word in content]
    with Image.open(output) as image:
        assert image.info["icc_profile"] == PROFILE
        assert dict(image.getexif().get_ifd(0x8825)) == {}


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_stays_but_not_in_what_is_hidden(
    detector: Fixed, settings: Any, tmp_path: Path, suffix: str, mode: str
) -> None:
    """The outline of a face in the transparency would be a face as well."""
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[40:60, 10:90] = 77
    colours = [picture()] * (3 if mode == "RGBA" else 1)
    Image.fromarray(np.dstack([*colours, alpha])).save(tmp_path / f"in{suffix}", lossless=True)
    after = read(anonymised(tmp_path / f"in{suffix}", settings))
    expected = alpha.copy()
    expected[INSIDE] = 255
    assert np.array_equal(after[..., -1], expected)
    assert (after[INSIDE][..., 0] == 0).all()
    assert detector.seen[0].shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(detector.seen[0][..., 0], picture())  # what is transparent is searched as well


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_becomes_transparency(detector: Fixed, settings: Any, tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(picture(3)).convert(mode)
    clear = image.getpixel((0, 0))
    image.save(tmp_path / "in.png", transparency=clear)
    after = read(anonymised(tmp_path / "in.png", settings))
    assert after.shape == (HEIGHT, WIDTH, 4)
    stored = np.array(image).reshape(HEIGHT, WIDTH, -1)
    expected = np.where((stored == clear).all(axis=2), 0, 255)
    assert 0 < (expected == 0).sum() < expected.size
    assert np.array_equal(after[:32, :, 3], expected[:32])


@pytest.mark.parametrize(("mode", "shape"), [("P", (HEIGHT, WIDTH, 3)), ("1", (HEIGHT, WIDTH))])
def test_few_colours_become_many_so_that_a_filter_has_some(
    detector: Fixed, settings: Any, tmp_path: Path, mode: str, shape: tuple[int, ...]
) -> None:
    Image.fromarray(picture(3)).convert(mode).save(tmp_path / "in.png")
    assert read(anonymised(tmp_path / "in.png", settings)).shape == shape


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_of_grey_stay(detector: Fixed, settings: Any, tmp_path: Path, suffix: str) -> None:
    """Often only a part of the sixteen bits is used: the detector sees that part as it would be shown."""
    image = picture().astype(np.uint16) * 4 + 1
    Image.fromarray(image).save(tmp_path / f"in{suffix}")
    after = read(anonymised(tmp_path / f"in{suffix}", settings))
    assert after.dtype == np.uint16
    image[INSIDE] = 0
    assert np.array_equal(after, image)
    assert detector.seen[0].max() == 255
    assert int(detector.seen[0][40, 20, 0]) == round(401 * 255 / 881)


def test_a_jpeg_is_written_as_finely_as_it_was(detector: Fixed, settings: Any, tmp_path: Path) -> None:
    for quality, subsampling in ((60, 2), (97, 0)):
        Image.fromarray(picture(3)).save(tmp_path / "in.jpg", quality=quality, subsampling=subsampling)
        output = anonymised(tmp_path / "in.jpg", settings, f"{quality}.jpg")
        with Image.open(tmp_path / "in.jpg") as before, Image.open(output) as after:
            assert after.quantization == before.quantization  # type: ignore[attr-defined]
            assert after.layer == before.layer  # type: ignore[attr-defined]


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("profile", [None, PROFILE])
def test_a_lossless_webp_stays_lossless(
    detector: Fixed, settings: Any, tmp_path: Path, lossless: bool, profile: bytes | None
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "in.webp", lossless=lossless, icc_profile=profile or b"")
    before, after = read(tmp_path / "in.webp").copy(), read(anonymised(tmp_path / "in.webp", settings))
    before[INSIDE] = 0
    assert np.array_equal(before, after) == lossless


def test_tiff_is_compressed(detector: Fixed, settings: Any, tmp_path: Path) -> None:
    Image.fromarray(picture(3)).save(tmp_path / "in.png")
    assert anonymised(tmp_path / "in.png", settings, "out.tiff").stat().st_size < HEIGHT * WIDTH
    with Image.open(tmp_path / "out.tiff") as image:
        assert image.info["compression"] == "tiff_adobe_deflate"


def test_of_several_lenses_the_first_picture_is_kept(detector: Fixed, settings: Any, tmp_path: Path) -> None:
    """Phones keep depth or brightness, in which a face shows, as a second picture in a JPEG file."""
    other = Image.fromarray(picture(3)[::-1])
    Image.fromarray(picture(3)).save(tmp_path / "in.jpg", "MPO", save_all=True, append_images=[other])
    done = anonymize_photograph(tmp_path / "in.jpg", tmp_path / "out.jpg", *settings)
    assert done.notes == ("of its 2 pictures only the first is kept (the others: depth, brightness, a second lens)",)
    with Image.open(tmp_path / "out.jpg") as image:
        assert (image.format, getattr(image, "n_frames", 1)) == ("JPEG", 1)
        assert np.array(image)[:12, :20].min() > 200


# ---- another format, another name


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp", ".tiff", ".bmp", ".png"])
def test_the_outputs_name_chooses_the_format(detector: Fixed, settings: Any, tmp_path: Path, suffix: str) -> None:
    Image.fromarray(picture(3)).save(tmp_path / "in.png", icc_profile=PROFILE)
    done = anonymize_photograph(tmp_path / "in.png", tmp_path / f"out{suffix}", *settings)
    with Image.open(tmp_path / f"out{suffix}") as image:
        assert image.format == FORMATS[suffix.lower()]
        assert np.abs(np.array(image).astype(int) - picture(3))[:30].max() < 12
        assert image.info.get("icc_profile") == (None if suffix == ".bmp" else PROFILE)
    assert done.notes == ((".bmp holds no colour profile: it is left out",) if suffix == ".bmp" else ())


@pytest.mark.parametrize(
    ("shape", "dtype", "suffix", "message"),
    [
        ((4,), np.uint8, ".jpg", r"\.jpg cannot hold transparency, .* choose one of \.png \.webp \.tif \.tiff"),
        ((4,), np.uint8, ".bmp", r"\.bmp cannot hold transparency"),
        ((), np.uint16, ".jpg", r"\.jpg cannot hold 16 bits, .* choose one of \.png \.tif \.tiff"),
        ((), np.uint16, ".webp", r"\.webp cannot hold 16 bits"),
        ((3,), np.uint8, ".mp4", r"cannot write out\.mp4 from a photograph: choose one of \.png \.jpg"),
        ((3,), np.uint8, ".gif", r"cannot write out\.gif from a photograph"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    detector: Fixed, settings: Any, tmp_path: Path, shape: tuple[int, ...], dtype: Any, suffix: str, message: str
) -> None:
    Image.fromarray(np.full((HEIGHT, WIDTH, *shape), 100, dtype)).save(tmp_path / "in.png")
    with pytest.raises(ActaError, match=message):
        anonymised(tmp_path / "in.png", settings, f"out{suffix}")
    assert detector.seen == []
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


# ---- what is refused


def _animated(path: Path) -> None:
    frames = [Image.fromarray(picture(3)), Image.fromarray(255 - picture(3))]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def _sixteen_bit_colour(path: Path) -> None:
    if path.suffix == ".png":
        _png(path, depth=16, colour=2)
    else:
        import cv2

        cv2.imwrite(str(path), np.full((8, 8, 3), 40000, np.uint16))


def _png(path: Path, depth: int, colour: int) -> None:
    import struct
    import zlib

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    channels = {2: 3, 4: 2, 6: 4}[colour]
    rows = (b"\0" + bytes(8 * channels * depth // 8)) * 8
    header = struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("in.webp", _animated, "it holds 2 pictures"),
        ("in.png", _animated, "it holds 2 pictures"),
        ("in.tif", _animated, "it holds 2 pictures"),
        ("in.png", _sixteen_bit_colour, "16 bits a channel are not read in colour; convert it to 8 bits first"),
        ("in.png", lambda path: _png(path, 16, 4), "16 bits a channel"),
        ("in.png", lambda path: _png(path, 16, 6), "16 bits a channel"),
        ("in.tif", _sixteen_bit_colour, "16 bits a channel|not supported"),
        ("in.jpg", lambda path: Image.new("CMYK", (8, 8)).save(path), "CMYK are not read; convert it to RGB first"),
        ("in.tif", lambda path: Image.new("CMYK", (8, 8)).save(path), "colours in CMYK are not read"),
        ("in.tif", lambda path: Image.new("LAB", (8, 8)).save(path), "colours in LAB are not read"),
        ("in.tif", lambda path: Image.new("F", (8, 8)).save(path), "32 bits a channel"),
        ("in.jpg", lambda path: path.write_text("no picture"), r"no photograph that can be read; supported are \.png"),
        ("in.jpg", lambda path: Image.new("RGB", (8, 8)).save(path, "GIF"), "no photograph that can be read"),
        ("in.jpg", lambda path: path.touch(), "empty"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused_as_what_it_is(
    detector: Fixed, settings: Any, tmp_path: Path, name: str, make: Any, message: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(VideoError, match=message):
        anonymised(tmp_path / name, settings)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_truncated_file_is_refused(detector: Fixed, settings: Any, tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    path = tmp_path / f"in{suffix}"
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(VideoError, match=r"damaged, or not supported: .+|no photograph that can be read"):
            anonymised(path, settings)
    assert [path.name for path in tmp_path.iterdir()] == [f"in{suffix}"]


def test_a_bomb_is_refused(
    detector: Fixed, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    Image.fromarray(picture()).save(tmp_path / "in.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH - 1)
    anonymised(tmp_path / "in.png", settings, "large.png")
    assert [warning.message for warning in recwarn] == []
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH // 2 - 1)
    with pytest.raises(VideoError, match="exceeds limit of 6142 pixels"):
        anonymised(tmp_path / "in.png", settings, "larger.png")


# ---- files


def test_what_is_there_stays_unless_told(detector: Fixed, settings: Any, tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "in.png")
    (tmp_path / "out.png").write_text("precious")
    with pytest.raises(ActaError, match="--overwrite replaces it"):
        anonymised(tmp_path / "in.png", settings)
    assert (tmp_path / "out.png").read_text() == "precious"
    assert read(anonymised(tmp_path / "in.png", settings, overwrite=True))[INSIDE].max() == 0


def test_a_full_disk_leaves_nothing(
    detector: Fixed, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(self: Any, path: Path, *arguments: Any, **options: Any) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    Image.fromarray(picture()).save(tmp_path / "in.png")
    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(ActaError, match=r"out\.png could not be written: No space left on device"):
        anonymised(tmp_path / "in.png", settings)
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "16"])
def test_a_preview_shows_the_picture_with_the_box(detector: Fixed, settings: Any, tmp_path: Path, mode: str) -> None:
    deep = Image.fromarray(picture().astype(np.uint16) * 257)
    image = deep if mode == "16" else Image.fromarray(picture(3)).convert(mode)
    image.save(tmp_path / "in.png")
    output = anonymised(tmp_path / "in.png", settings, "out.preview.png", preview=True)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    after = read(output)
    assert after.shape == (HEIGHT, WIDTH, 3)
    assert (after[32, 48:72] == (0, 255, 0)).all()
    assert (after[33:47, 49:71] == picture(3)[33:47, 49:71]).all() or mode == "16"
    assert (after[:16, :24] == after[0, 0]).all()


@pytest.mark.parametrize("harm", ["zeros", "cut"])
def test_a_jpeg_that_has_to_be_guessed_at_is_refused(tmp_path, config, harm):
    """libjpeg shows something for damaged data; a face that is cut up may not be found."""
    squares = np.kron(np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
    Image.fromarray(squares).save(tmp_path / "in.jpg", quality=90)
    content = bytearray((tmp_path / "in.jpg").read_bytes())
    middle = len(content) // 2
    if harm == "zeros":
        content[middle : middle + 200] = bytes(200)
    else:
        content[middle:] = b"\xff\xd9"
    (tmp_path / "in.jpg").write_bytes(content)
    search = config.privacy.detect.search("faces")
    with pytest.raises(VideoError, match="damaged, or not supported: Corrupt JPEG data"):
        anonymize_photograph(tmp_path / "in.jpg", tmp_path / "out.png", search, config.privacy.obfuscate.faces)
    assert not (tmp_path / "out.png").exists()


def test_a_photograph_never_replaces_itself(tmp_path, config):
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "in.png")
    search = config.privacy.detect.search("faces")
    with pytest.raises(ActaError, match="is an input"):
        anonymize_photograph(
            tmp_path / "in.png", tmp_path / "in.png", search, config.privacy.obfuscate.faces, overwrite=True
        )


@pytest.mark.parametrize(
    ("second", "count"),
    [([0.2, 0.2, 0.4, 0.4], 1), ([0.2, 0.2, 0.4, 0.31], 1), ([0.2, 0.2, 0.4, 0.29], 2), ([0.6, 0.6, 0.8, 0.8], 2)],
)
def test_an_instance_of_both_sizes_counts_once_and_is_hidden_twice(tmp_path, config, monkeypatch, second, count):
    """Boxes that share half of their hull are the same face."""
    boxes = iter(([[0.2, 0.2, 0.4, 0.4]], [second]))
    monkeypatch.setattr(module, "make_detector", lambda settings: None)
    monkeypatch.setattr(module, "detect_frame", lambda *_: Instances.of(np.array(next(boxes)), np.ones(1)))
    Image.fromarray(np.zeros((2000, 3000, 3), np.uint8)).save(tmp_path / "in.png")
    search = config.privacy.detect.search("faces")
    done = anonymize_photograph(tmp_path / "in.png", tmp_path / "out.png", search, config.privacy.obfuscate.faces)
    assert done.instances == count
    assert len(done.detections.frames[0]) == 2
