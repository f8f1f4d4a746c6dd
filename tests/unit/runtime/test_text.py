"""The one reader of text files."""

import codecs
from pathlib import Path

import pytest

from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import decode, parse_json, read_bytes, read_json, read_lines, read_rows, read_text

UTF8 = codecs.BOM_UTF8
LITTLE, BIG = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
NOT_UTF8 = "is not UTF-8; save the file as UTF-8"
ZERO = "it has a zero byte, as no text has; save the file as UTF-8"
MARK = "it has a byte order mark that is not at the file's beginning, as where files were joined; remove it"


@pytest.fixture
def file(tmp_path):
    def write(content: bytes | str) -> Path:
        path = tmp_path / "file"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        (b"a\nb\n", "a\nb\n"),
        (b"a\nb", "a\nb"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"a\rb\r", "a\nb\n"),
        (b"a\r\r\nb\n\r", "a\n\nb\n\n"),
        (UTF8, ""),
        (UTF8 + "ä\nb".encode(), "ä\nb"),
        (LITTLE, ""),
        (LITTLE + "ä\r\nb\n".encode("utf-16-le"), "ä\nb\n"),
        (BIG + "ä\r\nb\n".encode("utf-16-be"), "ä\nb\n"),
        ("ä\x85\u2028\x0b\x0c".encode(), "ä\x85\u2028\x0b\x0c"),
    ],
)
def test_texts(file, content, text):
    assert read_text(file(content)) == text
    assert decode(content, "x") == text


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("Zoë".encode("latin-1"), 1, f"byte 0xeb {NOT_UTF8}"),
        ("a\nb\nZoë\nd".encode("latin-1"), 3, f"byte 0xeb {NOT_UTF8}"),
        ("a\r\nb\rZoë".encode("latin-1"), 3, f"byte 0xeb {NOT_UTF8}"),
        (UTF8 + b"a\nb\n\xe9 c", 3, f"byte 0xe9 {NOT_UTF8}"),
        (UTF8[:2], 1, f"byte 0xef {NOT_UTF8}"),
        (b"a\n\xed\xa0\x80", 2, f"byte 0xed {NOT_UTF8}"),
        (LITTLE + "a\nb\n".encode("utf-16-le") + b"c", 3, "byte 0x63 is not UTF-16; save the file as UTF-8"),
        (BIG + "ਊ\nb".encode("utf-16-be") + b"\xdc\x00", 2, "byte 0xdc is not UTF-16; save the file as UTF-8"),
        ("ab\nc".encode("utf-16-le"), 1, ZERO),
        ("ab\nc".encode("utf-16-be"), 1, ZERO),
        (codecs.BOM_UTF32_LE + "a".encode("utf-32-le"), 1, ZERO),
        (b"a\nb\n\0", 3, ZERO),
        (b"\n\0", 2, ZERO),
        (UTF8 + UTF8 + b"a", 1, MARK),
        (b"a\n" + UTF8 + b"b\n", 2, MARK),
    ],
)
def test_what_is_no_text_is_refused_by_its_line(file, content, line, problem):
    path = file(content)
    for read in (read_text, read_lines, read_json, lambda its: list(read_rows(its))):
        with pytest.raises(ActaError) as error:
            read(path)
        assert str(error.value) == f"{path}, line {line}: {problem}"


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ActaError) as error:
        read_text(tmp_path / "none", "the list")
    assert str(error.value) == f"cannot read the list {tmp_path}/none: No such file or directory"
    with pytest.raises(ActaError) as error:
        read_text(tmp_path)
    assert str(error.value) == f"cannot read the file {tmp_path}: Is a directory"
    with pytest.raises(ActaError, match=r"cannot read the file 'a\\x00b': embedded null byte"):
        read_bytes("a\0b")


def test_lines(file):
    assert read_lines(file("a \r\n\n  \n\tb c\n\u00a0d")) == [(1, "a"), (4, "b c"), (5, "d")]
    assert read_lines(file("")) == []


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("", []),
        ("a,b\r\nc,d", [(1, ["a", "b"]), (2, ["c", "d"])]),
        (UTF8 + b"a,b\n", [(1, ["a", "b"])]),
        ('a,"b\r\nc"\n,\n \n"d""e",f\n', [(2, ["a", "b\nc"]), (5, ['d"e', "f"])]),
    ],
)
def test_rows(file, content, rows):
    assert list(read_rows(file(content))) == rows


def test_rows_with_tabs(file):
    assert list(read_rows(file("a,b\tc\n"), delimiter="\t")) == [(1, ["a,b", "c"])]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('"c"d\n', "line 1: ',' expected after '\"'"),
        ('a\nb,"c"d\n', "line 2: ',' expected after '\"'"),
        ('a\n"b\nc\n' + "d\n" * 9, "line 2: unexpected end of data; a quotation mark is not closed"),
        ("a\nb\n" + "c" * 131_073, "line 3: field larger than field limit (131072)"),
    ],
)
def test_what_is_no_csv(file, content, problem):
    path = file(content)
    with pytest.raises(ActaError) as error:
        list(read_rows(path))
    assert str(error.value) == f"{path}, {problem}"


def test_json(file):
    assert read_json(file(UTF8 + b'{"a": [1, -2.5e3, null, true, "\xc3\xa4"]}\r\n')) == {
        "a": [1, -2500, None, True, "ä"]
    }
    assert read_json(file(LITTLE + '{"ä": 1}'.encode("utf-16-le"))) == {"ä": 1}
    assert parse_json('{"a": {"b": 1}, "b": {"a": 1}}', "x") == {"a": {"b": 1}, "b": {"a": 1}}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", ", line 1: Expecting value; it is no JSON"),
        ('{"a":\n\n1,}', ", line 3: Expecting property name enclosed in double quotes; it is no JSON"),
        ("1 2", ", line 1: Extra data; it is no JSON"),
        ('{"b": 1, "c": 2, "c": 2, "b": 3}', " is no JSON that can be read: 'c' stands twice in an object"),
        ("[NaN]", " is no JSON that can be read: NaN is no number of JSON"),
        ("[-Infinity]", " is no JSON that can be read: -Infinity is no number of JSON"),
        ("[-1e400]", " is no JSON that can be read: -1e400 is too large"),
        (f"[1{'0' * 4300}]", " is no JSON that can be read: Exceeds the limit (4300 digits) for integer string "),
        ("[" * 100_000, " is no JSON that can be read: maximum recursion depth exceeded"),
        ('{"a":' * 100_000, " is no JSON that can be read: maximum recursion depth exceeded"),
    ],
)
def test_what_is_no_json(file, content, problem):
    path = file(content)
    with pytest.raises(ActaError) as error:
        read_json(path)
    assert str(error.value).startswith(f"{path}{problem}")
