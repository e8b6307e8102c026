"""Small valid files of every kind, ways to damage them, and what may come of reading them.

BAKEOFF_TRIES sets the examples of each test: 4 in the default tier, 1000 in the torture tier.
"""

import atexit
import io
import os
import signal
import sys
import time
import zipfile
from collections import Counter
from contextlib import contextmanager

import docx
import openpyxl
import pptx
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

USUAL_TRIES = 4
TRIES = int(os.environ.get("BAKEOFF_TRIES", USUAL_TRIES))
MARKS = [pytest.mark.torture] if TRIES > USUAL_TRIES else []
FUZZ = settings(
    max_examples=TRIES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
LIMIT = 5.0
"""Seconds that one file may take."""
COUNTS = Counter()

if TRIES > USUAL_TRIES:
    atexit.register(lambda: print(f"\ninputs read: {dict(COUNTS)}, in all {COUNTS.total()}", file=sys.stderr))


class HungError(BaseException):
    """It took too long; nothing that is tested catches this."""


@contextmanager
def in_time(what, seconds=LIMIT):
    """Fail where the block takes longer, also where it would never end."""

    def stop(*_):
        raise HungError(f"{what}: more than {seconds} seconds")

    COUNTS[what] += 1
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield time.monotonic()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# ---- seeds

ROW = b'{"id": "a", "input": "What is x?", "output": "y", "references": ["z"], "context_id": "d", "group": "g"}\n'
ROWS = b"".join(ROW.replace(b'"a"', b'"%d"' % n) for n in range(4))
CORPUS_ROWS = b'{"id": "d", "title": "D", "text": "x is y."}\n{"text": "more"}\n'
SCENARIO = b"""\
name = "n"
kind = "short_answer"
instruction = "Answer."
arms = ["prompt", "rag"]
max_new_tokens = 8
seed = 3
[rule]
metric = "token_f1"
margin = 0.05
alpha = 0.05
fewest_cases = 5
resamples = 2000
[tuning]
epochs = 2
learning_rate = 5e-4
[experiments]
harm = true
[criteria]
quality = 3
cost = 1.5
[advice]
date = 2026-11-25
approach = "rag"
hypothesis = "It wins."
[advice.answers]
gap = "facts"
"""
ANSWERS_TOML = b'task = "facts_qa"\ngap = "facts"\nclasses = 12\nbudget = "small"\n'
ANSWERS_JSON = (
    b'{"answers": [{"key": "gap", "value": "facts", "source": "typed"}, {"key": "budget", "value": "small"}]}'
)
PRICES = b"[meta]\ndate = 2026-11-25\n[tokens]\nfrontier_in = 2.5\n[people]\nday = 640\n[hosting]\npeak = 4\n"
CLIENT = b"""\
client = "ACME"
firm = "F"
contact = ["a", "b"]
accent = "#1a5a96"
logo = "logo.png"
[prices]
currency = "USD"
input = 1.0
output = 2
"""
SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20" viewBox="0 0 40 20"><rect width="9"/></svg>"""
HTML = b"""<!doctype html><html><head><meta charset="utf-8"><title>T</title><style>x</style></head>
<body><h1>H</h1><p>One <b>two</b><br>three</p><table><tr><td>a</td><td>b</td></tr></table><!-- c --></body></html>"""
MARKDOWN = b"# Title #\n\n```\n# no title\n```\n\nText  \nmore.\n"


def pdf(*contents, pages=b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"):
    """A PDF of one page, written by hand; further objects may follow."""
    stream = b"BT /F1 12 Tf 72 720 Td (Some text) Tj ET"
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        pages,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for place, body in contents:
        bodies[place - 1 : place] = [body]
    out, offsets = io.BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, body in enumerate(bodies, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % at for at in offsets))
    out.write(b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, table))
    return out.getvalue()


def word():
    document = docx.Document()
    document.add_heading("Title", level=1)
    document.add_paragraph("Some text.")
    table = document.add_table(rows=2, cols=2)
    table.cell(0, 0).merge(table.cell(1, 0)).text = "merged"
    return _saved(document.save)


def slides():
    return _saved(pptx.Presentation().save)


def workbook():
    book = openpyxl.Workbook()
    for row in (("input", "output"), ("a", 1), ("b", 2.5), ("c", None)):
        book.active.append(row)
    book.create_sheet("other")
    return _saved(book.save)


def parquet():
    table = pa.table({"input": ["a", "b", "c"], "output": ["x", "y", None], "references": [["r"], [], None]})
    return _saved(lambda out: pyarrow.parquet.write_table(table, out))


def _saved(save):
    out = io.BytesIO()
    save(out)
    return out.getvalue()


def png():
    import PIL.Image

    return _saved(lambda out: PIL.Image.new("RGB", (40, 20), "red").save(out, format="PNG"))


# ---- damage

NASTY = [
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xff\xfe\0\0",
    b"\r",
    b"\r\n",
    b"\\ud800",
    b"\xed\xa0\x80",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 5000,
    b"0x" + b"f" * 5000,
    b"[" * 3000,
    b'{"a":' * 3000,
    b"<b>" * 3000,
    b"a." * 3000,
    b" " * 5000,
    b'"',
    b"'",
    b"\x1b[2J",
    b"&amp;",
    b"<!ENTITY a 'b'>",
    b"-1",
    b"2147483648",
    b"../../x",
    b" 1 0 R ",
    b" << ",
    b" >> ",
    b" [ ",
]
PIECES = st.one_of(st.sampled_from(NASTY), st.binary(max_size=8))
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "insert", "delete", "double", "swap", "cut", "replace"]),
        st.integers(0, 2**16),
        st.integers(0, 2**16),
        PIECES,
    ),
    min_size=1,
    max_size=6,
)


def damaged(data, edits):
    """Apply the edits one after another."""
    for kind, first, second, piece in edits:
        at, upto = sorted((first % (len(data) + 1), second % (len(data) + 1)))
        near = min(upto, at + 40)
        middle = {
            "flip": bytes(255 - byte for byte in data[at : at + 1]),
            "insert": piece + data[at : at + 1],
            "delete": b"",
            "double": data[at:near] * 2,
            "swap": data[near : 2 * near - at] + data[at:near],
            "cut": b"",
            "replace": piece,
        }[kind]
        end = {"flip": at + 1, "insert": at + 1, "swap": 2 * near - at, "cut": len(data)}.get(kind, near)
        data = data[:at] + middle + data[end:]
    return data


def damaged_part(packed, place, edits):
    """Damage one member of a zip file and pack it again, so that it is a good zip file of bad parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        chosen = names[place % len(names)]
        for name in names:
            data = old.read(name)
            new.writestr(name, damaged(data, edits) if name == chosen else data)
    return out.getvalue()


def repacked(packed, **changed):
    """A zip file with members replaced (`__` stands for `/`, `_dot_` for the dot)."""
    changed = {name.replace("__", "/").replace("_dot_", "."): data for name, data in changed.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in changed:
                new.writestr(name, old.read(name))
        for name, data in changed.items():
            new.writestr(name, data)
    return out.getvalue()


def claimed(packed, name, size):
    """A zip file whose directory claims that a member unpacks to so many bytes."""
    out = io.BytesIO(packed)
    with zipfile.ZipFile(out, "a") as changed:
        changed.getinfo(name).file_size = size
        changed.writestr("more.txt", "the directory is written anew")
    return out.getvalue()


XML_BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "lol">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
    + b"]>"
)
"""Ten thousand million "lol", where entities are expanded."""

JSON_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**30), 10**30),
        st.floats(),
        st.text(max_size=12),
        st.sampled_from(["\ud800", "\0", "a" * 3000, "=1+1", "../../x", 10**4000, -0.0, 1e308]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)


def replaced(value, path_choice, new):
    """A JSON value with one of its parts replaced; `path_choice` numbers the parts."""
    parts = list(_parts(value, ()))
    path = parts[path_choice % len(parts)]
    return _with(value, path, new)


def _parts(value, path):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from _parts(one, (*path, key))


def _with(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with(value[path[0]], path[1:], new)
    return copy
