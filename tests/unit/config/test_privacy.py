"""Settings of anonymisation: what detectors, auditors and searches may be, together."""

import json

import pytest

from pipeline.config.base import parse
from pipeline.config.tasks.privacy import DetectPeople
from pipeline.config.whole import Config
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import canonical
from pipeline.tasks import task_settings
from tests.unit.config.shipped import changed, mistake


@pytest.mark.parametrize(
    ("what", "detector"), [("faces", "retinaface"), ("faces", "centerface"), ("bodies", "maskrcnn")]
)
def test_auditor_must_not_be_the_detector(what: str, detector: str) -> None:
    content = changed(f"privacy.detect.{what}.detector", detector)
    content["privacy"]["audit"][what] = {"pose": 0.5, detector: 0.5}
    assert f"audit.{what} uses {detector!r}, which also made the detections: choose another auditor" in mistake(content)


@pytest.mark.parametrize("detector", ["retinaface", "centerface"])
def test_auditor_of_bodies_must_not_be_the_detector_of_the_faces_that_go_with_them(detector: str) -> None:
    content = changed("privacy.detect.faces.detector", detector)
    content["privacy"] |= {"what": ["bodies"]}
    content["privacy"]["audit"]["bodies"] = {"pose": 0.5, detector: 0.5}
    assert f"audit.bodies uses {detector!r}, which also made the detections" in mistake(content)
    content["privacy"]["audit"]["bodies"] = {"pose": 0.5}
    assert parse(Config, content).privacy.detect.faces.detector == detector


def test_auditor_of_a_variant_that_is_not_made_is_free() -> None:
    content = changed("privacy.what", ["bodies"])
    content["privacy"]["audit"]["faces"] = {"retinaface": 0.5}
    assert parse(Config, content).privacy.what == ("bodies",)


def test_variant_named_twice() -> None:
    assert "`what` names a variant twice: ['faces', 'faces']" in mistake(changed("privacy.what", ["faces", "faces"]))


def test_unknown_key_of_a_task_names_the_nearest_known_one(config: Config) -> None:
    content = json.loads(canonical(task_settings(config, "detect_people", what="faces")))
    content["detect"]["thresholds"] = 0.3
    with pytest.raises(ActaError, match="Did you mean 'threshold'"):
        parse(DetectPeople, content)


def test_search_for_bodies_also_reads_how_faces_are_found(config: Config) -> None:
    faces, bodies = (config.privacy.detect.search(what) for what in ("faces", "bodies"))
    shipped = config.privacy.detect
    assert faces.model_dump() == shipped.faces.model_dump() | {"faces": None}
    kept = ("detector", "weights", "threshold", "long_side", "device")
    assert bodies.model_dump() == shipped.bodies.model_dump() | {
        "faces": {key: value for key, value in shipped.faces.model_dump().items() if key in kept}
    }


@pytest.mark.parametrize(
    ("bodies", "faces", "side"),
    [(640, 1280, 1280), (1280, 640, 1280), (None, 640, None), (640, None, None), (None, None, None)],
)
def test_picture_searched_for_bodies_is_as_large_as_either_detector_asks(
    bodies: int | None, faces: int | None, side: int | None
) -> None:
    content = changed("privacy.detect.bodies.long_side", bodies)
    content["privacy"]["detect"]["faces"]["long_side"] = faces
    detect = parse(Config, content).privacy.detect
    assert detect.search("bodies").picture_side == side
    assert detect.search("faces").picture_side == faces
    assert [network.long_side for network in detect.search("bodies").networks] == [bodies, faces]
    assert [network.long_side for network in detect.search("faces").networks] == [faces]


@pytest.mark.parametrize(
    ("bodies", "faces", "larger"),
    [(640, 1280, [1920, 3840]), (None, 1280, [None, 3840]), (640, None, [1920, None]), (None, None, [None, None])],
)
def test_search_in_a_larger_picture_is_larger_for_each_network(
    bodies: int | None, faces: int | None, larger: list[int | None]
) -> None:
    content = changed("privacy.detect.bodies.long_side", bodies)
    content["privacy"]["detect"]["faces"]["long_side"] = faces
    detect = parse(Config, content).privacy.detect
    for what, sides in (("bodies", larger), ("faces", larger[1:])):
        search = detect.search(what)
        scaled = search.scaled(3)
        assert [network.long_side for network in scaled.networks] == sides
        assert scaled.scaled(1) == scaled
        assert scaled.model_dump(exclude={"long_side": True, "faces": {"long_side"}}) == search.model_dump(
            exclude={"long_side": True, "faces": {"long_side"}}
        )


@pytest.mark.parametrize(
    ("bodies", "faces", "on_gpu"),
    [("cpu", "cpu", [False, False]), ("cuda", "cpu", [True, False]), ("cpu", "cuda", [True, True])],
)
def test_search_uses_a_gpu_if_any_of_its_networks_does(bodies: str, faces: str, on_gpu: list[bool]) -> None:
    content = changed("privacy.detect.bodies.device", bodies)
    content["privacy"]["detect"]["faces"]["device"] = faces
    detect = parse(Config, content).privacy.detect
    assert [detect.search("bodies").uses_gpu, detect.search("faces").uses_gpu] == on_gpu


def test_search_for_bodies_without_faces_is_refused(config: Config) -> None:
    content = json.loads(canonical(task_settings(config, "detect_people", what="bodies")))
    content["detect"]["faces"]["detector"] = "selfie"
    with pytest.raises(ActaError, match="detector 'selfie' does not find faces; choose one of retinaface"):
        parse(DetectPeople, content)
    content["detect"]["faces"] = None
    with pytest.raises(ActaError) as caught:
        parse(DetectPeople, content)
    assert str(caught.value).endswith(
        "`detect.faces` is null, but for what: bodies it must say how the faces are found that are hidden with them, "
        "by the keys detector, weights, threshold, long_side, device."
    )


def test_search_for_faces_finds_them_once(config: Config) -> None:
    content = json.loads(canonical(task_settings(config, "detect_people", what="bodies")))
    content |= {"what": "faces"}
    content["detect"]["detector"] = "retinaface"
    with pytest.raises(ActaError) as caught:
        parse(DetectPeople, content)
    assert str(caught.value).endswith(
        "`detect.faces` names the detector 'centerface', but for what: faces it must be null, as `detect` itself says "
        "how faces are found."
    )
