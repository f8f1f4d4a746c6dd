"""Pins: the hash that weights from the web are held to, and whom a pin is trusted from. Nothing touches the network."""

import os
from pathlib import Path

import pytest

import pipeline.models.weights as registry
from pipeline.cli import main
from pipeline.models.weights import Url, Weights, fetch_weights, open_weights, registered_digest
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_json
from tests.unit.sources import OTHER, Web, files, keep, sha256


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
