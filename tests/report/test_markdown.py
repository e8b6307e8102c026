"""Whole Markdown reports against files in golden/.

After a wanted change run `BAKEOFF_UPDATE_GOLDEN=1 pytest tests/report/test_markdown.py` and read the difference.
"""

import os
from pathlib import Path

import builders
import pytest

from harness.publish.markdown import MOST_CASES, escaped, to_markdown
from harness.report.content import build_report

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("build", builders.ALL_KINDS)
def test_the_report_reads_as_agreed(build):
    text = to_markdown(build_report(build()))
    path = GOLDEN / f"{build.__name__}.md"
    if os.environ.get("BAKEOFF_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain words, 62 % (54 to 70 %).", "plain words, 62 % (54 to 70 %)."),
        ("p < 0.001", "p < 0.001"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("<!-- x -->", "&lt;!-- x -->"),
        ("[bold] [a](b)", r"\[bold\] \[a\](b)"),
        ("| pipes |", r"\| pipes \|"),
        ("`code` ```", r"\`code\` \`\`\`"),
        ("*a* _b_ snake_case __init__", r"\*a\* \_b\_ snake_case \_\_init\_\_"),
        ("~~gone~~ $x$", r"\~\~gone\~\~ \$x\$"),
        ("# title", r"\# title"),
        ("- item", r"\- item"),
        ("+ item", r"\+ item"),
        ("> quote", r"\> quote"),
        ("---", r"\---"),
        ("12. item", r"12\. item"),
        ("3) item", r"3\) item"),
        ("&lt; R&D &amp; &#60;", "&amp;lt; R&D &amp;amp; &amp;#60;"),
        ("back\\slash", r"back\\slash"),
        ("https://example.org www.example.org", r"https\://example.org www\.example.org"),
        ("two\nlines", "two ⏎ lines"),
        ("\x1b[31mred", r"␛\[31mred"),
    ],
)
def test_text_from_outside_stays_text(text, written):
    assert escaped(text) == written


def test_at_most_five_cases_of_an_outcome_are_shown_and_the_report_says_so():
    text = to_markdown(build_report(builders.winner()))
    assert "At most 5 cases of each outcome are shown here" in text
    groups = text.split("\n## Every case\n")[1].split("\n## ")[0].split("\n### ")[1:]
    assert max(group.count("#### Case ") for group in groups) == MOST_CASES


def test_every_table_has_as_many_cells_in_each_row_as_in_its_head():
    text = to_markdown(build_report(builders.with_text("a | b\n| c |")))
    for table in [part for part in text.split("\n\n") if part.startswith("| ")]:
        widths = {len(row.replace("\\|", "").split("|")) for row in table.split("\n")}
        assert len(widths) == 1
