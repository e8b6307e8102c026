"""Any file of settings is read, or answered with sentences, in time: scenario, answers, prices, client, advice."""

import contextlib
import json
import os
import tempfile
from pathlib import Path

import pytest
from fuzz_seeds import (
    ANSWERS_JSON,
    ANSWERS_TOML,
    CLIENT,
    EDITS,
    FUZZ,
    JSON_VALUES,
    MARKS,
    NASTY,
    PRICES,
    SCENARIO,
    SVG,
    damaged,
    in_time,
    png,
    replaced,
)
from hypothesis import given
from hypothesis import strategies as st

from advisor.answers import combine, load_session, parse_set, read_answers_file
from advisor.api import Context, advise, json_of
from advisor.errors import UserError as AdvisorFault
from advisor.prices import read_prices
from advisor.render.document import plain_sections
from harness.errors import UserError
from harness.given import parse_toml
from harness.publish.client_file import read_client
from harness.report.advice_file import read_advice_file
from harness.scenario_file.toml_file import line_of, read_settings

pytestmark = MARKS

SESSION = json.dumps(
    {
        "schema_version": 1,
        "started": "2026-11-25T00:00:00Z",
        "updated": "2026-11-25T00:00:00Z",
        "title": "t",
        "finished": False,
        "answers": [{"key": "gap", "value": "facts", "source": "typed", "note": ""}],
    }
).encode()


def an_advice():
    answers = combine(parse_set(["gap=facts", "requests_per_day=1000"]))
    made = advise(answers, context=Context(title="t", asked=0, stopped_because="x"))
    return json_of(made, sections=plain_sections(made))


ADVICE = an_advice()
READERS = {
    # name: (seed, file's name, reader)
    "scenario": (SCENARIO, "scenario.toml", read_settings),
    "answers": (ANSWERS_TOML, "a.toml", read_answers_file),
    "JSON answers": (ANSWERS_JSON, "a.json", read_answers_file),
    "session": (SESSION, "s.json", load_session),
    "prices": (PRICES, "p.toml", read_prices),
    "client": (CLIENT, "client.toml", read_client),
    "advice": (ADVICE, "advice.json", read_advice_file),
}


def answered(name, data, **beside):
    """What one of the readers says of this content; '' where it can be used."""
    _, file, reader = READERS[name]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / file
        path.write_bytes(data)
        for other, content in beside.items():
            (Path(place) / other.replace("_", ".")).write_bytes(content)
        said = ""
        try:
            with in_time(f"{name} files"):
                found = reader(path)
        except (UserError, AdvisorFault) as error:
            said = str(error)
            assert said
        else:
            if name == "scenario":
                said = "\n".join(map(str, found[1]))
        assert len(list(Path(place).iterdir())) == 1 + len(beside)
    said.encode("utf-8", "backslashreplace")
    assert len(said) < 100_000, "something that can be read"
    return said


def test_the_seeds_themselves_are_good():
    for name, (seed, _, _) in READERS.items():
        assert answered(name, seed, logo_png=png()) == "", name


@pytest.mark.parametrize("name", READERS)
def test_damaged_settings(name):
    @FUZZ
    @given(edits=EDITS)
    def tried(edits):
        answered(name, damaged(READERS[name][0], edits), logo_png=b"")

    tried()


@pytest.mark.parametrize("name", ["JSON answers", "session", "advice"])
def test_any_value_in_every_place_of_a_json_file(name):
    seed = json.loads(READERS[name][0])

    @FUZZ
    @given(place=st.integers(0, 2**20), value=JSON_VALUES)
    def tried(place, value):
        try:
            data = json.dumps(replaced(seed, place, value)).encode()
        except ValueError:  # Python does not write numbers of thousands of digits
            data = json.dumps(replaced(seed, place, "HUGE")).replace('"HUGE"', "9" * 5000).encode()
        answered(name, data)

    tried()


TOML_VALUES = st.one_of(
    st.sampled_from(
        [
            "1",
            "-1",
            "0.5",
            "nan",
            "-inf",
            "1e999",
            "true",
            '"a"',
            '""',
            '"\\u0000"',
            "[]",
            "[1]",
            '["a", "a"]',
            "{}",
            "{ a = { b = 1 } }",
            "2026-11-25",
            "00:00:00",
            "0x" + "f" * 6000,
            "[0x" + "f" * 6000 + "]",
            "'''a\nb'''",
            '"' + "a" * 5000 + '"',
            "[" * 39 + "]" * 39,
            "9223372036854775808",
            "1979-05-27T07:32:00Z",
        ]
    ),
    st.text(max_size=10).map(lambda text: json.dumps(text, ensure_ascii=False)),
)


@pytest.mark.parametrize("name", ["scenario", "answers", "prices", "client"])
def test_any_value_in_every_line_of_a_toml_file(name):
    lines = READERS[name][0].decode().splitlines()
    places = [place for place, line in enumerate(lines) if "=" in line]

    @FUZZ
    @given(place=st.sampled_from(places), value=TOML_VALUES)
    def tried(place, value):
        key = lines[place].split("=")[0]
        changed = [*lines[:place], f"{key}= {value}", *lines[place + 1 :]]
        answered(name, "\n".join(changed).encode("utf-8", "surrogatepass"), logo_png=png())

    tried()


BOMBS = {
    "empty": b"",
    "NULs": b"\0" * 1000,
    "UTF-16": "a = 1".encode("utf-16"),
    "UTF-32": "a = 1".encode("utf-32"),
    "carriage returns": b"a = 1\rb = 2\r",
    "a chain of names": b"a." * 200_000 + b"a = 1",
    "a chain in a header": b"[" + b"a." * 200_000 + b"a]",
    "a quoted chain": b'"a b".' * 100_000 + b"a = 1",
    "brackets": b"a = " + b"[" * 100_000,
    "closed brackets": b"a = " + b"[" * 300 + b"]" * 300,
    "inline tables": b"a = " + b"{a = " * 100_000,
    "JSON brackets": b'{"a": ' + b"[" * 100_000,
    "a long number": b"a = " + b"9" * 100_000,
    "a long hexadecimal number": b"a = 0x" + b"f" * 100_000,
    "many keys": b"".join(b"k%d = 1\n" % n for n in range(60_000)),
    "many JSON keys": b"{" + b", ".join(b'"k%d": 1' % n for n in range(60_000)) + b"}",
    "a key twice among many": b"{" + b", ".join(b'"k%d": 1' % n for n in [*range(60_000), 59_999]) + b"}",
    "many arms": b"arms = [" + b",".join(b'"a%d"' % n for n in range(80_000)) + b"]",
    "labels twice": b"labels = [" + b",".join(b'"a%d"' % (n // 2) for n in range(80_000)) + b"]",
    "spaces after a bracket": b'instruction = """\n[' + b" " * 900_000 + b'"""\nzzz = 1\n',
    "words without an end": b'kind = "json"\nkeys = ["k"]\ninstruction = "' + b"only " * 200_000 + b'"\n',
    "many tables": b"".join(b"[t%d]\na = 1\n" % n for n in range(40_000)),
    "too large": b"#" * 9_000_000,
    "64 MB": b"a" * 64_000_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("name", READERS)
def test_a_bomb_among_the_settings_does_not_go_off(name, bomb):
    said = answered(name, BOMBS[bomb])
    assert said or bomb in ("empty", "words without an end", "carriage returns")


@pytest.mark.parametrize("kind", ["pipe", "folder", "circle", "nothing", "NUL", "long", "device"])
@pytest.mark.parametrize("name", READERS)
def test_settings_that_are_no_file_are_answered_with_a_sentence(tmp_path, name, kind):
    _, file, reader = READERS[name]
    path = tmp_path / {"NUL": f"a\0{file}", "long": "x" * 5000 + file}.get(kind, file)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "circle":
        path.symlink_to(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    with in_time("odd settings"):
        if name == "scenario":
            assert read_settings(path)[1]
            return
        with pytest.raises((UserError, AdvisorFault)):
            reader(path)


def test_sentences_with_dots_are_no_chain_of_names():
    text = "See www.example.com/a.b.c, e. g. version 1.2.3. " + "A b. " * 200
    assert parse_toml(f'a = "{text}"') == {"a": text}


def test_a_setting_beyond_a_bracket_of_spaces_is_found():
    assert line_of('a = """\n[' + " " * 900_000 + '"""\nb = 1\n', "b") == 3


@FUZZ
@given(
    pairs=st.lists(
        st.one_of(st.text(max_size=20), st.sampled_from(["gap=", "=", "classes=1e9", "classes=" + "9" * 99]))
    )
)
def test_any_text_after_set(pairs):
    with in_time("--set"), contextlib.suppress(AdvisorFault):
        parse_set(pairs)


# ---- logos


def logo(data, name="logo.png"):
    return answered("client", f'logo = "{name}"'.encode(), **{name.replace(".", "_"): data})


@FUZZ
@given(edits=EDITS, svg=st.booleans())
def test_damaged_logos(edits, svg):
    logo(damaged(SVG if svg else png(), edits), "logo.svg" if svg else "logo.png")


def png_of(width, height):
    """A picture that claims a size, of a few bytes."""
    import struct
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * ((width // 8 + 2) * min(height, 1000)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (png_of(50_000, 50_000), "logo.png", "million pixels"),
        (png_of(20_000, 1), "logo.png", "40 times as long"),
        (SVG.replace(b"0 0 40 20", b"0 0 1.2.3 4"), "logo.svg", ""),
        (SVG.replace(b"0 0 40 20", b"0 0 " + b"9" * 400 + b" 4"), "logo.svg", ""),
        (SVG.replace(b'"40"', b'"' + b"9" * 400 + b'"').replace(b"viewBox", b"x"), "logo.svg", "40 times as long"),
        (SVG.replace(b"0 0 40 20", b"0 0 1 100000"), "logo.svg", "40 times as long"),
        (b"<svg viewBox='" + b"1" * 1_900_000, "logo.svg", ""),
        (b"<svg " + b"viewBox = " * 180_000, "logo.svg", ""),
        (b"x" * 3_000_000, "logo.png", "is larger than 2 MB"),
    ],
)
def test_a_logo_bomb_does_not_go_off(data, name, said):
    assert said in logo(data, name)


@pytest.mark.parametrize("size", [100_000, 100_000_000])
def test_an_svg_that_claims_a_height_beyond_reason_is_drawn_all_the_same(size):
    """typst ends the whole process where a page is too long: the page's size is ours."""
    from harness.publish.brand import Brand, Logo
    from harness.publish.office import logo_picture

    data = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="%d"><rect width="5" height="5"/></svg>' % size
    with in_time("logos drawn"):
        assert logo_picture(Brand(logo=Logo(data, "svg", 40, 20)))


@pytest.mark.parametrize("piece", NASTY)
def test_each_nasty_piece_at_every_tenth_place(piece):
    for name, (seed, _, _) in READERS.items():
        step = max(1, len(seed) // 10)
        for at in range(0, min(len(seed), 10 * step), step):
            answered(name, seed[:at] + piece + seed[at:], logo_png=b"")
