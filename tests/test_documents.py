"""Documents of every kind, in a fixed order, and a sentence for each file that cannot be read."""

import io
import os
import zipfile
from pathlib import Path

import docx
import pypdf
import pytest
from fakes import HereInstead
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import apart
from harness.documents import read_documents
from harness.scenario import Document


def put(folder, name, data):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def pdf(text):
    """A PDF of one page, written by hand."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, offsets = io.BytesIO(b""), []
    out.write(b"%PDF-1.4\n")
    for number, body in enumerate(bodies, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    table = out.tell()
    out.write(b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % at for at in offsets))
    out.write(b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % table)
    return out.getvalue()


def locked_pdf():
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("secret")))
    writer.encrypt("word", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def word(*, title="", heading="", text="", rows=()):
    document = docx.Document()
    document.core_properties.title = title
    if heading:
        document.add_heading(heading, level=1)
    document.add_paragraph(text)
    if rows:
        table = document.add_table(rows=0, cols=len(rows[0]))
        for row in rows:
            for cell, content in zip(table.add_row().cells, row, strict=True):
                cell.text = content
    document.add_paragraph("after the table")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


@pytest.fixture(params=["in a helper process", "in this process"])
def place(request, monkeypatch):
    """What a file says does not depend on where it is read."""
    if request.param == "in this process":
        monkeypatch.setattr("harness.documents.Apart", HereInstead)


def read(folder, **named):
    documents, problems = read_documents(folder, **named)
    return {document.id: document for document in documents}, [f"{p.level}: {p}" for p in problems]


def test_a_folder_without_documents_is_no_problem(tmp_path):
    assert read_documents(tmp_path) == ((), ())


def test_rows_of_corpus_jsonl_become_documents(tmp_path):
    put(tmp_path, "corpus.jsonl", '{"id": "a", "title": "T", "text": " x "}\n{"id": 7, "text": "y"}\n{"text": "z"}\n')
    documents, problems = read_documents(tmp_path)
    assert documents == (
        Document("a", "T", "x", "corpus.jsonl"),
        Document("7", "", "y", "corpus.jsonl"),
        Document("corpus-3", "", "z", "corpus.jsonl"),
    )
    assert problems == ()


def test_every_bad_row_is_named_with_its_line(tmp_path):
    rows = ['{"id": "a", "text": "t"}', '{"id": "a", "text": "u"}', '{"text": ""}', '{"body": "t"}', '{"text": 4}', "x"]
    put(tmp_path, "corpus.jsonl", "\n".join(rows))
    assert read(tmp_path)[1] == [
        "error: corpus.jsonl:2: the id 'a' stands on line 1 already; ids must be unique",
        "error: corpus.jsonl:3: the field 'text' is empty; write the document's text, or delete the row",
        "error: corpus.jsonl:4: the field 'text' is missing (this row has: body)",
        "error: corpus.jsonl:5: the field 'text' must be a text, but is a number",
        "error: corpus.jsonl:6: broken JSON at character 1: a value is expected; near 'x'",
        "warning: corpus.jsonl: fields that are not used: body (used: id, title, text)",
    ]


def test_an_empty_corpus_file_is_an_error(tmp_path):
    put(tmp_path, "corpus.jsonl", "\n")
    assert "error: corpus.jsonl: the file is empty" in read(tmp_path)[1][0]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "data", "title", "text"),
    [
        ("plain.txt", "two\r\nlines\n\n\n\nend", "plain", "two\nlines\n\nend"),
        ("note.md", "intro\n```\n# no title\n```\n## The title ##\nbody", "The title", None),
        ("bare.md", "no heading", "bare", "no heading"),
        ("page.html", "<html><title> A\n page</title><body>x</body></html>", "A page", "x"),
        ("head.htm", "<h1>Head <i>line</i></h1><p>x</p>", "Head line", "Head line\nx"),
        (
            "table.html",
            "<style>p{}</style><script>1</script><p>one <b>wo</b>rd</p><table><tr><td>a</td><td>b</td></tr></table>",
            "table",
            "one word\na | b",
        ),
        ("latin.html", '<meta charset="iso-8859-1"><p>für</p>'.encode("latin-1"), "latin", "für"),
        ("report.pdf", pdf("Hello there"), "report", "Hello there"),
        ("titled.docx", word(title="Set title", heading="Head", text="x"), "Set title", "Head\nx\nafter the table"),
        ("headed.docx", word(heading="Head", text="x"), "Head", None),
        ("cells.docx", word(text="x", rows=[("a", "b"), ("c", "d")]), "cells", "x\na | b\nc | d\nafter the table"),
        ("UPPER.TXT", "x", "UPPER", "x"),
        ("wide.txt", "zwölf".encode("utf-16"), "wide", "zwölf"),
        ("marked.txt", b"\xef\xbb\xbfx", "marked", "x"),
    ],
)
def test_each_kind_of_file_gives_its_title_and_text(tmp_path, name, data, title, text):
    put(tmp_path, f"corpus/{name}", data)
    documents, problems = read_documents(tmp_path)
    assert problems == ()
    assert [(d.id, d.title, d.source) for d in documents] == [(name, title, f"corpus/{name}")]
    assert text is None or documents[0].text == text


def test_files_are_read_from_all_folders_in_the_order_of_their_paths(tmp_path):
    for name in ("b.txt", "a/z.txt", "a/b/c.md", "c.html"):
        put(tmp_path, f"corpus/{name}", "text")
    assert [document.id for document in read_documents(tmp_path)[0]] == ["a/b/c.md", "a/z.txt", "b.txt", "c.html"]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.pdf", b"%PDF-1.4 rubbish", "error: corpus/a.pdf: cannot be read as PDF ("),
        ("a.pdf", b"", "error: corpus/a.pdf: cannot be read as PDF ("),
        ("a.pdf", locked_pdf(), "error: corpus/a.pdf: is protected by a password; save a copy without it"),
        ("a.pdf", pdf(""), "warning: corpus/a.pdf: holds no text (scanned pages need text recognition first)"),
        ("a.docx", b"PK rubbish", "error: corpus/a.docx: cannot be read as a Word file ("),
        ("a.txt", " \n", "warning: corpus/a.txt: holds no text and was left out"),
        ("a.txt", "für".encode("latin-1"), "warning: corpus/a.txt: is not UTF-8 and was read as Windows-1252"),
        ("a.png", b"x", "warning: corpus/a.png: files with the ending .png are not read (1 here)"),
        ("LICENSE", b"x", "warning: corpus/LICENSE: files without an ending are not read (1 here)"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, name, data, problem):
    put(tmp_path, f"corpus/{name}", data)
    put(tmp_path, "corpus/good.txt", "x")
    documents, problems = read(tmp_path)
    assert "good.txt" in documents
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@pytest.mark.parametrize(("name", "data"), [("large.txt", b"x" * 2_000), ("bomb.docx", None)])
def test_a_file_that_is_too_large_is_named_and_not_read(tmp_path, monkeypatch, name, data):
    monkeypatch.setattr("harness.documents.Apart", HereInstead)
    monkeypatch.setattr("harness.documents.LARGEST_FILE", 1_999)
    if data is None:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as parts:
            parts.writestr("word/document.xml", bytes(2_000))
        data = made.getvalue()
        assert len(data) < 1_999
    put(tmp_path, f"corpus/{name}", data)
    put(tmp_path, "corpus/good.txt", "x" * 1_999)
    documents, problems = read(tmp_path)
    assert list(documents) == ["good.txt"]
    what = "is larger than" if name == "large.txt" else "unpacks to more than"
    assert problems == [f"error: corpus/{name}: {what} 0 MB; split it"]


@pytest.mark.usefixtures("place")
def test_a_file_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    def refused(self):
        if self.name == "mine.txt":
            raise PermissionError(13, "Permission denied", str(self))
        return real(self)

    real = Path.read_bytes
    put(tmp_path, "corpus/mine.txt", "x")
    put(tmp_path, "corpus/good.txt", "x")
    monkeypatch.setattr(Path, "read_bytes", refused)
    documents, problems = read(tmp_path)
    assert list(documents) == ["good.txt"]
    assert problems == ["error: corpus/mine.txt: cannot be opened (Permission denied); mend it or take it out"]


def test_a_folder_that_cannot_be_entered_is_named_and_the_others_are_read(tmp_path, monkeypatch):
    put(tmp_path, "corpus/shut/a.txt", "x")
    put(tmp_path, "corpus/open/b.txt", "x")
    real = os.scandir

    def scandir(path):
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    documents, problems = read(tmp_path)
    assert list(documents) == ["open/b.txt"]
    (said,) = problems
    assert said.endswith("corpus/shut: the folder cannot be opened (Permission denied) and was left out")


def test_hidden_and_lock_files_are_passed_over(tmp_path):
    for name in (".DS_Store", ".git/x.txt", "~$open.docx"):
        put(tmp_path, f"corpus/{name}", "x")
    assert read_documents(tmp_path) == ((), ())


def test_links_that_leave_the_folder_are_not_followed(tmp_path):
    put(tmp_path, "outside/secret.txt", "x")
    put(tmp_path, "scenario/corpus/inside.txt", "x")
    corpus = tmp_path / "scenario/corpus"
    (corpus / "file.txt").symlink_to(tmp_path / "outside/secret.txt")
    (corpus / "folder").symlink_to(tmp_path / "outside")
    (corpus / "again.txt").symlink_to(corpus / "inside.txt")
    (corpus / "loop").symlink_to(corpus)
    documents, problems = read(tmp_path / "scenario")
    assert list(documents) == ["inside.txt"]
    assert [problem.split(" is a link")[0] for problem in problems] == [
        "warning: corpus/file.txt:",
        "warning: corpus/folder:",
    ]


def test_a_corpus_that_is_itself_a_link_out_of_the_folder_is_not_followed(tmp_path):
    put(tmp_path, "outside/secret.txt", "x")
    (tmp_path / "scenario").mkdir()
    (tmp_path / "scenario/corpus").symlink_to(tmp_path / "outside")
    documents, problems = read(tmp_path / "scenario")
    assert documents == {}
    assert "leaves the scenario's folder" in problems[0]


def test_rows_and_files_together_are_read_with_a_warning_and_share_no_id(tmp_path):
    put(tmp_path, "corpus.jsonl", '{"id": "a.txt", "text": "x"}\n{"id": "b", "text": "x"}\n')
    put(tmp_path, "corpus/a.txt", "x")
    documents, problems = read_documents(tmp_path)
    assert len(documents) == 3
    assert [str(problem) for problem in problems] == [
        "corpus.jsonl: corpus.jsonl and corpus/ are both here; both are read",
        "corpus/a.txt: the document id 'a.txt' stands in corpus.jsonl too; ids must be unique",
    ]


def test_a_named_corpus_is_read_instead_of_the_usual_ones(tmp_path):
    put(tmp_path, "corpus.jsonl", '{"id": "a", "text": "x"}\n')
    put(tmp_path, "docs/b.txt", "x")
    assert list(read(tmp_path, corpus="docs")[0]) == ["b.txt"]


@pytest.mark.parametrize(
    ("corpus", "sentence"), [("nowhere", "the corpus is not there"), ("a.txt", "must be a .jsonl file or a folder")]
)
def test_a_named_corpus_of_another_kind_is_an_error(tmp_path, corpus, sentence):
    put(tmp_path, "a.txt", "x")
    assert sentence in read(tmp_path, corpus=corpus)[1][0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), head=st.sampled_from([b"", b"%PDF-1.7\n", b"PK\x03\x04", b"<html>", b"{"]))
def test_no_bytes_make_the_reading_raise(tmp_path, data, head):
    for ending in (".txt", ".md", ".html", ".pdf", ".docx"):
        put(tmp_path, f"corpus/file{ending}", head + data)
    put(tmp_path, "corpus.jsonl", head + data)
    documents, problems = read_documents(tmp_path)
    for text in (*(document.text for document in documents), *map(str, problems)):
        text.encode()


def test_cut_off_and_damaged_files_never_make_the_reading_raise(tmp_path):
    for ending, whole in ((".pdf", pdf("Hello")), (".docx", word(text="x", rows=[("a", "b")]))):
        for step in range(1, 40):
            cut = len(whole) * step // 40
            put(tmp_path, f"corpus/{step}a{ending}", whole[:cut])
            put(tmp_path, f"corpus/{step}b{ending}", whole[:cut] + bytes([whole[cut] ^ 255]) + whole[cut + 1 :])
    read_documents(tmp_path)


def test_the_process_that_opens_documents_finds_this_package_wherever_it_lies(monkeypatch):
    monkeypatch.setattr("sys.path", [])
    assert [(Path(place) / "harness" / "apart.py").exists() for place in apart.import_places()] == [True]
