import pytest
import samples

from harness.errors import UserError
from harness.publish.write import FORMATS, formats_in, templates_in, write_documents


def test_formats_are_named_with_commas_and_each_once():
    assert formats_in(" HTML, pdf,html ") == ("html", "pdf")


@pytest.mark.parametrize(("text", "got"), [("html,doc", "got 'doc'"), ("", "none was named"), (",", "none was named")])
def test_a_format_that_is_none_is_refused_with_those_there_are(text, got):
    with pytest.raises(UserError, match=f"--format takes html, pdf, docx, pptx, md, .*{got}"):
        formats_in(text)


def test_templates_are_told_apart_by_their_ending(tmp_path):
    (tmp_path / "house.docx").write_bytes(b"d")
    (tmp_path / "House.PPTX").write_bytes(b"p")
    found = templates_in([tmp_path / "house.docx", tmp_path / "House.PPTX"])
    assert found == {"docx": b"d", "pptx": b"p"}


def test_templates_of_another_kind_twice_or_missing_are_refused(tmp_path):
    (tmp_path / "a.docx").touch()
    (tmp_path / "b.docx").touch()
    with pytest.raises(UserError, match=r"takes a \.docx or a \.pptx"):
        templates_in([tmp_path / "a.odt"])
    with pytest.raises(UserError, match="two docx files"):
        templates_in([tmp_path / "a.docx", tmp_path / "b.docx"])
    with pytest.raises(UserError, match="cannot be read"):
        templates_in([tmp_path / "gone.docx"])


def test_every_format_is_written_and_nothing_else_is_left(tmp_path):
    paths = write_documents(samples.every_block(), tmp_path / "new", formats=FORMATS, name="report")
    assert [path.name for path in paths] == [f"report.{kind}" for kind in FORMATS]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in paths)
    starts = {path.suffix: path.read_bytes()[:4] for path in paths}
    assert starts == {".html": b"<!do", ".pdf": b"%PDF", ".docx": b"PK\x03\x04", ".pptx": b"PK\x03\x04", ".md": b"# Ba"}


def test_the_same_document_gives_the_same_bytes_in_every_format(tmp_path):
    made = [
        [path.read_bytes() for path in write_documents(samples.every_block(), tmp_path, formats=FORMATS, name="a")]
        for _ in range(2)
    ]
    assert made[0] == made[1]


def test_hostile_text_can_be_written_in_every_format(tmp_path):
    write_documents(samples.every_block(samples.NASTY + " \ud800"), tmp_path, formats=FORMATS, name="report")


def test_a_place_that_cannot_be_written_is_answered_with_a_sentence(tmp_path):
    (tmp_path / "report.md").mkdir()
    (tmp_path / "report.md" / "something").touch()
    with pytest.raises(UserError, match="cannot be written"):
        write_documents(samples.every_block(), tmp_path, formats=("md",), name="report")
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
