"""Any file in a corpus is read, or answered with a sentence, in time."""

import io
import os
import tempfile
import zipfile
import zlib
from pathlib import Path

import pytest
from fuzz_seeds import (
    CORPUS_ROWS,
    EDITS,
    FUZZ,
    HTML,
    MARKDOWN,
    MARKS,
    XML_BOMB,
    claimed,
    damaged,
    damaged_part,
    in_time,
    pdf,
    repacked,
    word,
)
from hypothesis import given
from hypothesis import strategies as st

from harness.documents import read_documents

pytestmark = MARKS

SEEDS = {"a.txt": MARKDOWN, "b.md": MARKDOWN, "c.html": HTML, "d.pdf": pdf(), "e.docx": word()}


@pytest.fixture(autouse=True, scope="module")
def _little_time():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAKEOFF_READ_SECONDS", "3")
        yield


def read(files, what, *, fell_over=False):
    """Read a corpus of these files: documents that can be written, and sentences."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "home"
        for name, data in files.items():
            path = home / ("corpus.jsonl" if name == "corpus.jsonl" else f"corpus/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        with in_time(what, 5.0 * len(files)):
            documents, problems = read_documents(home)
        assert sorted(path.name for path in Path(place).iterdir()) == ["home"]
        assert {path.name for path in home.rglob("*") if path.is_file()} == {Path(name).name for name in files}
    for document in documents:
        f"{document.id}{document.title}{document.text}".encode()
    said = [str(problem) for problem in problems]
    assert all(one.isprintable() for one in said)
    assert fell_over or not any("fall over" in one for one in said), said
    return documents, said


@FUZZ
@given(edits=st.lists(EDITS, min_size=len(SEEDS), max_size=len(SEEDS)))
def test_damaged_documents_of_every_kind(edits):
    read({name: damaged(SEEDS[name], edit) for name, edit in zip(SEEDS, edits, strict=True)}, "documents")


@FUZZ
@given(edits=st.lists(st.tuples(st.integers(0, 30), EDITS), min_size=3, max_size=3))
def test_word_files_of_damaged_parts(edits):
    files = {f"{n}.docx": damaged_part(SEEDS["e.docx"], *edit) for n, edit in enumerate(edits)}
    read(files, "Word parts")


@FUZZ
@given(edits=EDITS)
def test_damaged_rows_of_documents(edits):
    read({"corpus.jsonl": damaged(CORPUS_ROWS, edits)}, "corpus rows")


@FUZZ
@given(
    text=st.text(max_size=60),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be", "utf-32-le", "latin-1", "cp1252"]),
    line=st.sampled_from(["\n", "\r", "\r\n", "\x0b", "\u2028"]),
    name=st.sampled_from(["a.txt", "a.md", "a.html"]),
)
def test_texts_in_every_encoding(text, encoding, line, name):
    data = line.join(["ab", text, "cd"]).encode(encoding, "replace" if encoding in ("latin-1", "cp1252") else "ignore")
    read({name: data}, "encodings")


def deep_pdf():
    return pdf((4, b"<< /Length 10 /X " + b"[" * 100_000 + b"]" * 100_000 + b" >>\nstream\nBT ET     \nendstream"))


def flate_pdf():
    packed = zlib.compress(b"BT (a) Tj ET " * 20_000_000, 9)
    return pdf((4, b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(packed), packed)))


def many_pages_pdf():
    return pdf(pages=b"<< /Type /Pages /Kids [" + b"3 0 R " * 200_000 + b"] /Count 2000000000 >>")


def circular_pages_pdf():
    return pdf(pages=b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>")


def endless_stream_pdf():
    """An object stream that says it lies in itself."""
    return pdf(
        (4, b"<< /Type /ObjStm /N 1000000000 /First 4 /Length 10 /Extends 4 0 R >>\nstream\n1 0 2 0 3 0\nendstream")
    )


def content_of_a_word_file(body):
    start = b'<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    return repacked(word(), word__document_dot_xml=start + b"<w:body>" + body + b"</w:body></w:document>")


def entity_word():
    body = XML_BOMB + (
        b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>'
        b"&a11;</w:t></w:r></w:p></w:body></w:document>"
    )
    return repacked(word(), word__document_dot_xml=body)


def secret_word():
    """A Word file that names a file of the machine as an entity."""
    body = (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>'
        b"a&e;b</w:t></w:r></w:p></w:body></w:document>"
    )
    return repacked(word(), word__document_dot_xml=body)


def wide_word():
    cell = b'<w:tc><w:tcPr><w:gridSpan w:val="2000000000"/></w:tcPr><w:p/></w:tc>'
    return content_of_a_word_file(b"<w:tbl><w:tblPr/><w:tblGrid/><w:tr>" + cell + b"</w:tr></w:tbl>")


def deep_word():
    return content_of_a_word_file(b"<w:p>" * 100_000 + b"</w:p>" * 100_000)


def large_word():
    return claimed(word(), "word/document.xml", 250_000_000)


def slipping_word():
    out = io.BytesIO(word())
    with zipfile.ZipFile(out, "a") as packed:
        packed.writestr("../../../slipped.txt", "out")
        packed.writestr("/tmp/bakeoff-slipped.txt", "out")
    return out.getvalue()


BOMBS = {
    # name: (file, content, "read" or what is said)
    "spaces in a text": ("a.txt", lambda: b"a" + b" " * 5_000_000 + b"b", "read"),
    "a line of 64 MB": ("a.txt", lambda: b"a" * 64_000_000, "read"),
    "a text of NULs": ("a.txt", lambda: b"\0" * 5_000_000, "holds no text"),
    "a heading of marks": ("a.md", lambda: b"# a" + b" #" * 500_000 + b"x", "read"),
    "code that never ends": ("a.md", lambda: b"```\n~~~\n" * 100_001, "read"),
    "nested tags": ("a.html", lambda: b"<div>" * 100_000 + b"x", None),
    "tags closed wrongly": ("a.html", lambda: b"<b>" * 60_000 + b"</i>" * 60_000, None),
    "nested headings": ("a.html", lambda: b"<h1>" * 50_000, None),
    "a declaration without an end": ("a.html", lambda: b"<![x " * 100_000, None),
    "quotes without an end": ("a.html", lambda: b'<a b="' * 100_000, None),
    "a PDF of brackets": ("a.pdf", deep_pdf, None),
    "a PDF that unpacks": ("a.pdf", flate_pdf, None),
    "a PDF of many pages": ("a.pdf", many_pages_pdf, None),
    "pages in a circle": ("a.pdf", circular_pages_pdf, None),
    "an endless stream": ("a.pdf", endless_stream_pdf, None),
    "entities in Word": ("a.docx", entity_word, None),
    "a wide cell in Word": ("a.docx", wide_word, None),
    "nested paragraphs in Word": ("a.docx", deep_word, None),
    "a Word file that unpacks": ("a.docx", large_word, "unpacks to more than 200 MB"),
    "a Word file that slips out": ("a.docx", slipping_word, "read"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_go_off(name):
    file, content, said = BOMBS[name]
    documents, problems = read({file: content()}, "document bombs")
    assert documents or problems
    if said == "read":
        assert documents
    elif said:
        assert said in problems[0]
    assert not Path("/tmp/bakeoff-slipped.txt").exists()


def test_a_word_file_brings_no_other_file_in():
    documents, _ = read({"a.docx": secret_word()}, "document bombs")
    assert all("root:" not in document.text for document in documents)


def test_after_a_file_that_takes_too_long_the_next_one_is_read():
    documents, problems = read({"a.pdf": flate_pdf(), "b.pdf": pdf(), "c.docx": word()}, "document bombs")
    assert {"b.pdf", "c.docx"} <= {document.id for document in documents}
    assert len(documents) + len(problems) == 3


def test_pipes_links_circles_and_odd_names_are_named_or_passed_over(tmp_path):
    corpus = tmp_path / "home" / "corpus"
    corpus.mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (corpus / "good.txt").write_text("good")
    (corpus / "Good.txt").write_text("Good")
    os.mkfifo(corpus / "pipe.txt")
    (corpus / "out.txt").symlink_to(tmp_path / "secret.txt")
    (corpus / "up").symlink_to(tmp_path)
    (corpus / "circle.txt").symlink_to(corpus / "circle.txt")
    (corpus / "one").symlink_to(corpus / "two")
    (corpus / "two").symlink_to(corpus / "one")
    (corpus / "round").symlink_to(corpus)
    (corpus / "a\nb.txt").write_text("newline")
    (corpus / "a\x1b[2J.txt").write_text("escape")
    Path(os.fsdecode(os.fsencode(corpus) + b"/\xff.txt")).write_text("no UTF-8")
    (corpus / "folder.txt").mkdir()
    with in_time("odd files"):
        documents, problems = read_documents(tmp_path / "home")
    assert {document.id for document in documents} == {"good.txt", "Good.txt"}
    said = "\n".join(str(problem) for problem in problems)
    assert said.count("is a link that leaves the folder") == 2
    assert said.count("holds signs that cannot be shown") == 3
    said.replace("\n", " ").encode()
    assert said.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", ["pipe", "pipe.jsonl", "circle", "a\0b", "x" * 5000, "corpus"])
def test_a_corpus_that_is_no_corpus_is_answered_with_a_sentence(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "corpus").symlink_to(tmp_path.parent)
    with in_time("odd files"):
        documents, problems = read_documents(tmp_path, corpus=name)
    assert documents == ()
    assert problems
