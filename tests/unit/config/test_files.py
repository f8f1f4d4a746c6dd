"""Configuration files: what is read, and what is refused because a person would read something else there."""

import datetime
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config.files import read_configuration
from pipeline.config.whole import load_over
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_text
from tests import PROJECT
from tests.unit.chance import damaged

SHIPPED = [PROJECT / "config.yaml", *sorted((PROJECT / "config").glob("*.yaml"))]


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "my.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ActaError) as caught:
        read_configuration(path)
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_are_read_as_by_snakemake(path: Path) -> None:
    assert read_configuration(path) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x: 1.0e-3", 0.001),
        ("x: 1e-3", "1e-3"),
        ("x: 0", 0),
        ("x: 10", 10),
        ("x: -0.5", -0.5),
        ("x: 0.10", 0.1),
        ("x: 0x1f", 31),
        ("x: 1_000", 1000),
        ("x: '010'", "010"),
        ("x: 010a", "010a"),
        ("x: 08", "08"),
        ('x: "1:30"', "1:30"),
        ("x: 1:99", "1:99"),
        ("x: a:b", "a:b"),
        ("x: yes", True),
        ("x: 'no'", "no"),
        ("x:", None),
        ("x: ~", None),
        ("x: null", None),
        ("x: !!null NULL", None),
        ("x: 2024-01-02", datetime.date(2024, 1, 2)),
        ("x: 2024-1-2", "2024-1-2"),
        ("x: !!str 5", "5"),
        ("x: {1: a, 2.5: b}", {1: "a", 2.5: "b"}),
        ("x: &a {b: 1}\ny: {<<: *a, b: 2}", {"b": 1}),
    ],
)
def test_what_is_read(tmp_path: Path, text: str, value: Any) -> None:
    assert read_configuration(written(tmp_path, text))["x"] == value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_file_of_any_editor(tmp_path: Path, encoding: str, end: str) -> None:
    text = f"# \u00e9t\u00e9{end}x: \u00e9{end}y: 2"
    assert read_configuration(written(tmp_path, text.encode(encoding))) == {"x": "\u00e9", "y": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: {x: 1}\nb: 2\na: {y: 1}\n", "3: the key 'a' is there already, in line 1"),
        ("a:\n  b: 1\n  c: 2\n  b: 1\n", "4: the key 'b' is there already, in line 2"),
        ("a: [{b: 1,\nb: 2}]", "2: the key 'b' is there already, in line 1"),
        ("a: 1\n'a': 2\n", "2: the key 'a' is there already, in line 1"),
        ("1: a\n'1': b\n", "2: the key '1' is there already, in line 1"),
        ("x: &a {b: 1}\n<<: *a\n<<: *a\n", "3: the key '<<' is there already, in line 2"),
        ("a: 1\r\nb: 2\r\na: 3\r\n", "3: the key 'a' is there already, in line 1"),
    ],
)
def test_key_that_is_there_twice(tmp_path: Path, text: str, said: str) -> None:
    assert refusal(written(tmp_path, text)) == f", line {said}; put what is below both below one"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nx: 010", "2: 010 is the number 8 to YAML; write 10 or 8, or '010' in quotes for the text"),
        ("x: -010", "1: -010 is the number -8 to YAML; write -10 or -8, or '-010' in quotes for the text"),
        ("x: +07", "1: +07 is the number 7 to YAML; write 7, or '+07' in quotes for the text"),
        ("x: 00", "1: 00 is the number 0 to YAML; write 0, or '00' in quotes for the text"),
        ("x: [1, 0_17]", "1: 0_17 is the number 15 to YAML; write 17 or 15, or '0_17' in quotes for the text"),
        ("x: !!int '010'", "1: 010 is the number 8 to YAML; write 10 or 8, or '010' in quotes for the text"),
        ("x: 1:30", "1: 1:30 is the number 90 to YAML; write 90, or '1:30' in quotes for the text"),
        ("x: 16:9", "1: 16:9 is the number 969 to YAML; write 969, or '16:9' in quotes for the text"),
        ("x: 1:30.5", "1: 1:30.5 is the number 90.5 to YAML; write 90.5, or '1:30.5' in quotes for the text"),
        ("x: {y: [a, -1:10:00]}", "1: -1:10:00 is the number -4200 to YAML; write -4200, or '-1:10:00' in quotes"),
        (
            "x: 2001-12-14t21:59:43Z",
            "1: 2001-12-14t21:59:43Z is the time 2001-12-14 21:59:43+00:00 to YAML; write '2001-12-14t21:59:43Z' in",
        ),
        ("x: 2024-13-45", "1: '2024-13-45' is no timestamp that can be read; quote it for the text"),
        ("x: !!bool maybe", "1: 'maybe' is no bool that can be read"),
        ("x: !!float ''", "1: '' is no float that can be read"),
        ("x: " + "9" * 5000, "1: '9999"),
        ("x: !!null 5", "1: '5' is tagged as null, but is not empty"),
        ("a: 1\non: 1", "2: the key on is true to YAML; quote it"),
        ("no: 1", "1: the key no is false to YAML; quote it"),
        ("true: 1", "1: the key true is true to YAML; quote it"),
        ("~: 1", "1: the key ~ is null to YAML; quote it"),
        ("010: 1", "1: the key 010 is 8 to YAML; quote it"),
        ("1_0: 1", "1: the key 1_0 is 10 to YAML; quote it"),
        ("1.50: 1", "1: the key 1.50 is 1.5 to YAML; quote it"),
        ("? [a]\n: 1", "1: a key is a list or a mapping; a key is a word"),
        ("x: !!binary aGk=", "1: the tag !!binary is not used here"),
        ("x: !!set {a}", "1: the tag !!set is not used here"),
        ("x: !mine 1", "1: the tag !mine is not used here"),
        ("x: !!python/object/apply:os.getcwd []", "1: the tag !!python/object/apply:os.getcwd is not used here"),
        ("x: =", "1: the tag !!value is not used here"),
        ("a: [[], [[]], {}]\nx: " + "[" * 100, "2: more than 100 lists or mappings in each other"),
        ("x:\n - " + "[" * 100, "2: more than 100 lists or mappings in each other"),
    ],
)
def test_what_would_be_something_else(tmp_path: Path, text: str, said: str) -> None:
    assert refusal(written(tmp_path, text)).startswith(f", line {said}")


def test_a_hundred_levels_are_the_most(tmp_path: Path) -> None:
    assert read_configuration(written(tmp_path, "x: " + "[" * 99 + "]" * 99))["x"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x: [1", ", line "),
        ("x: 1\n---\nx: 2\n", ", line 2, is not valid YAML: but found another document"),
        ("x: *nobody\n", ", line 1, is not valid YAML: found undefined alias"),
        ("\tx: 1\n", ", line 1, is not valid YAML: found character"),
        ("x: \x01", " is not valid YAML: "),
        ("x: <<", ", line 1, is not valid YAML: could not determine a constructor"),
        ("x: &a [*a]", " is not valid YAML: a value holds itself"),
        ("x: &a\n  y: {z: *a}", " is not valid YAML: a value holds itself"),
        (b"x: \xe9", ", line 1: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b"", " must hold keys and values, but holds NoneType"),
    ],
)
def test_what_is_no_configuration(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert refusal(written(tmp_path, text)).startswith(said)


@pytest.mark.parametrize(
    "line", ["{name}: &{name} [*{above}, *{above}]", "{name}: &{name} {{<<: [*{above}, *{above}]}}"]
)
def test_what_is_short_in_its_file_only(tmp_path: Path, line: str) -> None:
    """Sixty doublings of a few bytes; as a list, and as keys that are merged."""
    lines = ["n0: &n0 {x: 1}", *(line.format(name=f"n{k}", above=f"n{k - 1}") for k in range(1, 60))]
    said = " is not valid YAML: it holds more than 100,000 values, as some stand in many places"
    assert refusal(written(tmp_path, "\n".join(lines))) == said


def test_the_most_values(tmp_path: Path) -> None:
    """With the mapping, its key and the list."""
    assert len(read_configuration(written(tmp_path, f"x: [{'0,' * 99_997}]"))["x"]) == 99_997
    assert "more than 100,000 values" in refusal(written(tmp_path, f"x: [{'0,' * 99_998}]"))


# ---- hints where a value is of another type


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1e-3", "write 1.0e-3 for the number."),
        ("5e3", "write 5.0e+3 for the number."),
        ("-.5E3", "write -0.5e+3 for the number."),
        ("1.5e3", "write 1.5e+3 for the number."),
        ("+2.E4", "write +2.e+4 for the number."),
    ],
)
def test_number_that_is_a_text_to_yaml(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, f"sampling: {{rate: {text}}}")
    with pytest.raises(ActaError) as caught:
        load_over([path])
    message = f"{path}: 'sampling.rate' is \"{text}\": input should be a valid number. To YAML {text} is a text; {said}"
    assert str(caught.value) == message
    number = said.split()[1]
    assert isinstance(yaml.safe_load(number), float)
    assert yaml.safe_load(number) == float(text)


@pytest.mark.parametrize("text", ["fast", "'5'", "e3", "1e", "'.e3'", "1e3x"])
def test_text_that_is_no_number_has_no_hint(tmp_path: Path, text: str) -> None:
    with pytest.raises(ActaError, match=r"input should be a valid number\.$"):
        load_over([written(tmp_path, f"sampling: {{rate: {text}}}")])


@pytest.mark.parametrize("word", ["yes", "No", "on", "OFF"])
def test_word_that_is_true_or_false_to_yaml(tmp_path: Path, word: str) -> None:
    said = "'dataset' is (true|false): input should be a valid string. To YAML yes, no, on and off are true and false; "
    with pytest.raises(ActaError, match=said + r"quote them for the text\.$"):
        load_over([written(tmp_path, f"dataset: {word}")])


@pytest.mark.parametrize("word", [".inf", "-.INF", ".nan", "1.0e+999"])
@pytest.mark.parametrize("key", ["sampling: {rate", "privacy: {obfuscate: {faces: {enlarge", "shrink: {temperature"])
def test_no_setting_is_endless(tmp_path: Path, word: str, key: str) -> None:
    text = f"{key}: {word}" + "}" * key.count("{")
    with pytest.raises(ActaError, match=r"(NaN|Infinity): input should be a finite number\."):
        load_over([written(tmp_path, text)])


# ---- files that chance has changed


def test_a_damaged_file_is_read_or_refused(tmp_path: Path) -> None:
    """Nothing else is raised, and what is read is what YAML says."""
    generator = random.Random(7)
    content = (
        b"a: &x {b: 1, c: [2, 0x3, 1.5e+3]}\nd:\n  - no\n  - 'e'\n  - {<<: *x, f: ~}\ng: |\n  text\nh: 2024-01-02\n"
    )
    pieces = [b"&x", b"*x", b": ", b"- ", b"{", b"}", b"[", b"010", b"1:30", b"!!int ", b"<<: ", b"~"]
    read = 0
    for _ in range(400):
        path = written(tmp_path, damaged(generator, content, pieces))
        try:
            value = read_configuration(path)
        except ActaError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            read += 1
            assert value == yaml.safe_load(read_text(path))
    assert 30 < read < 370
