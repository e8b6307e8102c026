"""Any house template makes a document, or is answered with a sentence, in time."""

import io
import zipfile

import pytest
from fuzz_seeds import (
    EDITS,
    FUZZ,
    MARKS,
    TRIES,
    XML_BOMB,
    claimed,
    damaged,
    damaged_part,
    in_time,
    repacked,
    slides,
    word,
)
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.publish.blocks import Paragraph, Report, Section
from harness.publish.brand import PLAIN
from harness.publish.office import MOST_UNPACKED, opened
from harness.publish.slides import to_pptx
from harness.publish.word import to_docx

pytestmark = MARKS

SEEDS = {"docx": word(), "pptx": slides()}
MAKERS = {"docx": to_docx, "pptx": to_pptx}
SUMMARY = Section("S", "s", (Paragraph("Some text."),))
REPORT = Report("t", "u", SUMMARY, (SUMMARY,))


@pytest.fixture(autouse=True, scope="module")
def _little_time():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAKEOFF_READ_SECONDS", "3")
        yield


def made_with(kind, template):
    """What is said of a template; '' where a document could be made."""
    said = ""
    try:
        with in_time(f"{kind} templates", 8.0):
            MAKERS[kind](REPORT, PLAIN, template=template)
    except UserError as error:
        said = str(error)
    assert "fall over" not in said
    return said


def test_the_seeds_themselves_are_good():
    assert [made_with(kind, SEEDS[kind]) for kind in SEEDS] == ["", ""]


@pytest.mark.parametrize("kind", SEEDS)
def test_damaged_templates(kind):
    @FUZZ
    @given(edits=EDITS)
    def tried(edits):
        made_with(kind, damaged(SEEDS[kind], edits))

    tried()


@pytest.mark.parametrize("kind", SEEDS)
def test_templates_of_damaged_parts(kind):
    @FUZZ
    @given(place=st.integers(0, 60), edits=EDITS)
    def tried(place, edits):
        made_with(kind, damaged_part(SEEDS[kind], place, edits))

    tried()


@pytest.mark.parametrize("kind", SEEDS)
def test_a_template_that_lacks_a_part(kind):
    names = zipfile.ZipFile(io.BytesIO(SEEDS[kind])).namelist()
    for left_out in names[:: max(1, 2 * len(names) // TRIES)]:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(SEEDS[kind])) as old, zipfile.ZipFile(out, "w") as new:
            for name in names:
                if name != left_out:
                    new.writestr(name, old.read(name))
        made_with(kind, out.getvalue())


@pytest.mark.parametrize("kind", SEEDS)
@pytest.mark.parametrize("bomb", ["entities", "claims", "brackets", "the other kind", "nothing"])
def test_a_template_bomb_does_not_go_off(kind, bomb):
    part = {"docx": "word/document.xml", "pptx": "ppt/presentation.xml"}[kind]
    template = {
        "entities": lambda: repacked(SEEDS[kind], **{part: XML_BOMB + b"<a>&a11;</a>"}),
        "claims": lambda: claimed(SEEDS[kind], part, MOST_UNPACKED + 1),
        "brackets": lambda: repacked(SEEDS[kind], **{part: b"<a>" * 100_000}),
        "the other kind": lambda: SEEDS["pptx" if kind == "docx" else "docx"],
        "nothing": lambda: b"",
    }[bomb]()
    with in_time("template bombs"), pytest.raises(UserError, match="template"):
        opened(template, kind)


@pytest.mark.parametrize(
    ("kind", "place", "edit"),
    [("docx", 23, ("swap", 146, 185)), ("pptx", 2, ("delete", 85, 86)), ("pptx", 0, ("delete", 141, 142))],
)
def test_damage_that_was_found_once_is_a_sentence(kind, place, edit):
    assert "cannot be read" in made_with(kind, damaged_part(SEEDS[kind], place, [(*edit, b"\x00")]))
