"""HDF5 files of other people: nothing outside of them is read; damage is an error in bounded time."""

import os
import random
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline.detect.features.foreign import find, names_in, open_foreign, place_of, read_array
from pipeline.detect.features.import_actor_features import Published
from pipeline.runtime.errors import ActaError, VideoError
from tests.unit.detect.features.published_files import I3D, SLOWFAST, Made, objects_of, one_keyframe

SECRET = np.arange(8.0).reshape(2, 4)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that the user may read, and that must stay unread: both raw bytes and HDF5."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["a"] = SECRET
        file["group/a"] = SECRET
    (tmp_path / "secret.bin").write_bytes(SECRET.tobytes())
    return tmp_path


def external_link(file: h5py.File, name: str, folder: Path) -> None:
    file[name] = h5py.ExternalLink(str(folder / "secret.h5"), "/a")


def link_to_external_link(file: h5py.File, name: str, folder: Path) -> None:
    external_link(file, "elsewhere", folder)
    file[name] = h5py.SoftLink("/elsewhere")


def link_through_external_link(file: h5py.File, name: str, folder: Path) -> None:
    file["elsewhere"] = h5py.ExternalLink(str(folder / "secret.h5"), "/group")
    file[name] = h5py.SoftLink("elsewhere/a" if "/" not in name else "/elsewhere/a")


def external_storage(file: h5py.File, name: str, folder: Path) -> None:
    file.create_dataset(name, (2, 4), np.float64, external=[(str(folder / "secret.bin"), 0, h5py.h5f.UNLIMITED)])


def virtual(file: h5py.File, name: str, folder: Path) -> None:
    layout = h5py.VirtualLayout((2, 4), np.float64)
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "a", (2, 4))
    file.create_virtual_dataset(name, layout)


def own_filter(file: h5py.File, name: str, folder: Path) -> None:
    """One that HDF5 would look for as a library; optional, so that writing goes without it."""
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((2, 4))
    made.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (1,))
    group, _, last = name.rpartition("/")
    where = file.require_group(group) if group else file
    space = h5py.h5s.create_simple((2, 4))
    array = h5py.h5d.create(where.id, last.encode(), h5py.h5t.IEEE_F64LE, space, made)
    array.write(h5py.h5s.ALL, h5py.h5s.ALL, SECRET)


def circle(file: h5py.File, name: str, folder: Path) -> None:
    file["round"] = h5py.SoftLink("/about")
    file["about"] = h5py.SoftLink("/round")
    file[name] = h5py.SoftLink("/about")


ATTACKS: dict[Callable[[h5py.File, str, Path], None], str] = {
    external_link: "{name} is a link to another file",
    link_to_external_link: "/elsewhere is a link to another file",
    link_through_external_link: "/elsewhere is a link to another file",
    external_storage: r"{name} has its values in another file \(external storage\)",
    virtual: "{name} is a virtual data set, whose values are in other files",
    own_filter: "{name} needs the filter 32015, which is not part of HDF5",
    circle: "/(about|round) is links in a circle",
}
REMEDY = "; only what is in the file itself is read: copy it there, such as with h5repack$"


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", ["x", "group/in/group/x"])
def test_what_leads_out_of_the_file_is_refused(secret: Path, attack: Any, name: str) -> None:
    with h5py.File(secret / "bad.h5", "w") as file:
        attack(file, name, secret)
    message = rf"bad\.h5: {ATTACKS[attack].format(name=f'/{name}')}{REMEDY}"
    with open_foreign(secret / "bad.h5") as file:
        for look in (lambda: find(file, name), lambda: read_array(file, name, "v at 1 s")):
            with pytest.raises(ActaError, match=message) as error:
                look()
            assert not isinstance(error.value, VideoError), "no video's fault: the import ends"


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", ["actors i3d", "actors slowfast", "objects", "group", "video"])
def test_an_import_refuses_them_wherever_they_are(secret: Path, attack: Any, place: str) -> None:
    made = Made(secret)
    layout, published, victim, name = prepared(made, place)
    with h5py.File(victim, "r+") as file:
        if name in file:
            del file[name]
        attack(file, name, secret)
    with pytest.raises(ActaError, match=f"{victim.name}: .*{REMEDY}"):
        made.read(published, layout)
    assert not (secret / "out.h5").exists()


def prepared(made: Made, place: str) -> tuple[Any, Published, Path, str]:
    objects = made.objects(objects_of("v_902"))
    if place == "actors slowfast":
        actors = made.slowfast({"v_902": one_keyframe()})
        return SLOWFAST, Published(actors, objects), actors, "v_902/features"
    if place in ("group", "video"):
        actors = made.slowfast({"w_902": one_keyframe()} if place == "group" else {"w/v_902": one_keyframe()})
        return SLOWFAST, Published(actors, objects), actors, "v_902" if place == "group" else "w"
    actors = made.i3d({"v/902": one_keyframe()})
    if place == "objects":
        return I3D, Published(actors, objects), objects, "v_902_features"
    return I3D, Published(actors, objects), actors / "v/902.h5", "boxes"


def test_links_within_the_file_are_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "good.h5", "w") as file:
        file["deep/er/a"] = SECRET
        file["deep/b"] = h5py.SoftLink("er/./a")
        file["c"] = h5py.SoftLink("/deep/b")
        file["same"] = file["deep/er/a"]
        file["nowhere"] = h5py.SoftLink("/deep/none")
    with open_foreign(tmp_path / "good.h5") as file:
        for name in ("deep/er/a", "/deep/er/a", "deep//er/a", "deep/b", "c", "same"):
            assert read_array(file, name, "v").tolist() == SECRET.tolist()
        assert read_array(file["deep"], "er/a", "v").tolist() == SECRET.tolist()
        for name in ("nowhere", "none", "deep/none", "same/none", "deep/er/a/b"):
            assert find(file, name) is None
        with pytest.raises(VideoError, match=r"^v: there is no 'nowhere' in .*good\.h5/$"):
            read_array(file, "nowhere", "v")
        with pytest.raises(VideoError, match=r"^v: there is no 'deep' in"):
            read_array(file, "deep", "v")


@pytest.mark.parametrize("links", [16, 17])
def test_links_to_links_come_to_an_end(tmp_path: Path, links: int) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["0"] = SECRET
        for number in range(links):
            file[str(number + 1)] = h5py.SoftLink(f"/{number}")
    with open_foreign(tmp_path / "a.h5") as file:
        if links == 16:
            assert read_array(file, "16", "v").tolist() == SECRET.tolist()
        else:
            with pytest.raises(ActaError, match="is links in a circle"):
                find(file, "17")


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "gzip"}, {"compression": "lzf"}, {"shuffle": True, "fletcher32": True}, {"scaleoffset": 3}],
    ids=str,
)
def test_filters_that_come_with_hdf5_are_read(tmp_path: Path, options: dict[str, Any]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=SECRET, **options)
    with open_foreign(tmp_path / "a.h5") as file:
        assert read_array(file, "a", "v").tolist() == SECRET.tolist()


def test_a_flipped_bit_below_fletcher32_is_found(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        place = file.create_dataset("a", data=SECRET, chunks=(2, 4), fletcher32=True).id.get_chunk_info(0).byte_offset
    content = bytearray((tmp_path / "a.h5").read_bytes())
    content[place] ^= 1
    (tmp_path / "a.h5").write_bytes(content)
    with open_foreign(tmp_path / "a.h5") as file, pytest.raises(VideoError, match=r"^v: 'a' cannot be read: "):
        read_array(file, "a", "v")


@pytest.mark.parametrize(
    "value", [3.0, "text", [b"bytes"], np.zeros(2, [("a", int)]), np.array(["a"], dtype=h5py.string_dtype())], ids=str
)
def test_what_is_no_array_of_numbers(tmp_path: Path, value: Any) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = value
    with (
        open_foreign(tmp_path / "a.h5") as file,
        pytest.raises(VideoError, match=r"^v: 'a' is not an array of numbers$"),
    ):
        read_array(file, "a", "v")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite(tmp_path: Path, value: float) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = [0, value]
    with (
        open_foreign(tmp_path / "a.h5") as file,
        pytest.raises(VideoError, match=r"^v: 'a' holds a value that is not fin"),
    ):
        read_array(file, "a", "v")


@pytest.mark.parametrize(
    ("shape", "chunks", "message"),
    [
        ((1 << 20, 1 << 20), (1, 1 << 20), "has 8796.1 GB; at most 1.1 GB are read"),
        ((1,), (1 << 28,), "has 2.1 GB; at most 1.1 GB are read"),
        ((1 << 27,), (1 << 27,), None),
        (((1 << 27) + 1,), (1 << 20,), "has 1.1 GB; at most 1.1 GB are read"),
    ],
)
def test_bombs_take_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: Any, chunks: Any, message: str | None
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", shape, np.float64, chunks=chunks, maxshape=(None,) * len(shape), compression="gzip")
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *_: np.zeros(1))
    with open_foreign(tmp_path / "a.h5") as file:
        if message is None:
            read_array(file, "a", "v")
        else:
            with pytest.raises(VideoError, match=f"^v: 'a' {message}$"):
                read_array(file, "a", "v")


def test_groups_that_hold_each_other(tmp_path: Path) -> None:
    made = Made(tmp_path)
    actors = made.slowfast({"v_902": one_keyframe()})
    with h5py.File(actors, "r+") as file:
        for number in range(40):
            file.create_group(f"g{number}")
        for number in range(39):
            file[f"g{number}/one"] = file[f"g{number}/other"] = file[f"g{number + 1}"]
        assert place_of(file["g0/one"]) == place_of(file["g1"]) != place_of(file)
    with pytest.raises(ActaError, match=r"actors\.h5: the group 'g\d+(/\w+)+' has another name too, so it is refused"):
        made.read(Published(actors), SLOWFAST)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.id.links.create_soft(b"\xff_1", b"/a")
    with open_foreign(tmp_path / "a.h5") as file:
        assert list(names_in(file)) == ["�_1"]


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n"])
def test_what_is_no_hdf5(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(ActaError, match=r"^cannot read .*a\.h5: "):
        open_foreign(tmp_path / "a.h5")


# ---- chance


def mutated(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    kind = chance.randrange(4)
    for _ in range(chance.choice((1, 2, 8))):
        place = chance.randrange(len(data))
        if kind == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[place : place + 4] = chance.choice((b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", chance.randbytes(4)))
        elif kind == 2:
            other = chance.randrange(len(data))
            data[place : place + 16] = data[other : other + 16]
    return bytes(data[: chance.randrange(len(data))] if kind == 3 else data)


def in_a_process(work: Callable[[Callable[[str], None]], None], seconds: int = 60) -> list[str]:
    """What work says, line by line, in a process of its own that is bounded in time and memory."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            work(lambda line: os.write(writer, f"{line}\n".encode()) and None)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as words:
        said = words.read().splitlines()
    _, status = os.waitpid(child, 0)
    return said + [f"the process died by signal {os.WTERMSIG(status)}"] * os.WIFSIGNALED(status)


@pytest.mark.parametrize("layout", ["i3d", "slowfast"])
def test_damaged_files_are_read_or_refused(tmp_path: Path, layout: str) -> None:
    made, chance = Made(tmp_path), random.Random(layout)
    settings, published, victim, _ = prepared(made, f"actors {layout}")
    assert published.objects is not None

    def work(say: Callable[[str], None]) -> None:
        for path in (victim, published.objects) * 75:
            whole = path.read_bytes()
            path.write_bytes(mutated(whole, chance))
            try:
                made.read(published, settings)
                say("read")
            except ActaError:
                say("refused")
            except BaseException as error:
                say(f"{type(error).__name__}: {error}")
            path.write_bytes(whole)

    said = in_a_process(work)
    assert set(said) == {"read", "refused"}
    assert len(said) == 150
