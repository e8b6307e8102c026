"""Report -> Markdown. Everything from the tree is escaped, so that it stays text in every Markdown viewer."""

from __future__ import annotations

import re
from functools import singledispatch

from harness.publish.blocks import (
    Block,
    Bullets,
    CaseBrowser,
    CaseGroup,
    Fact,
    Facts,
    Intervals,
    Lines,
    Mark,
    Paragraph,
    Parts,
    Picture,
    Report,
    Scatter,
    Section,
    ShownAnswer,
    ShownCase,
    Subheading,
    Table,
)
from harness.publish.text import one_line, shortened, visible

MOST_CASES = 5
"""Cases shown of each group; the HTML report has them all."""
LONGEST = 600
"""Characters shown of a question or an answer."""

_MARKS = {Mark.RIGHT: "✓ ", Mark.WRONG: "✗ "}

_SPECIAL = re.compile(r"([\\`*\[\]~|$])")
_OUTER_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_LINE_START = re.compile(r"^[#+=>-]")
_TAG = re.compile(r"<(?=\S)")
_NUMBERED = re.compile(r"^(\d+)([.)])")
_ENTITY = re.compile(r"&(?=#|\w+;)")
_LINK = re.compile(r"(?<=\w):(?=//)|(?<=www)\.")


def to_markdown(report: Report) -> str:
    """The whole report; at most `MOST_CASES` cases of each outcome."""
    head = [f"# {escaped(report.title)}", escaped(report.subtitle)]
    body = [_section(section) for section in (report.summary, *report.sections)]
    return "\n\n".join([*head, *body]) + "\n"


def escaped(text: str) -> str:
    """One line of plain text that Markdown shows as it is, wherever on a line it stands."""
    return _LINE_START.sub(r"\\\g<0>", _NUMBERED.sub(r"\1\\\2", escaped_cell(text)))


def escaped_cell(text: str) -> str:
    """The same for places where no line can begin, such as a table's cell."""
    line = _TAG.sub("&lt;", _ENTITY.sub("&amp;", one_line(text)))
    line = _OUTER_UNDERSCORE.sub(r"\\_", _SPECIAL.sub(r"\\\1", line))
    return _LINK.sub(r"\\\g<0>", line)


def _section(section: Section) -> str:
    parts = [f"## {escaped(section.title)}", *(_block(block) for block in section.blocks)]
    return "\n\n".join(part for part in parts if part)


@singledispatch
def _block(block: Block) -> str:
    raise TypeError(f"no Markdown for {type(block).__name__}")


@_block.register
def _(block: Paragraph) -> str:
    return f"**{escaped(block.text)}**" if block.lead else escaped(block.text)


@_block.register
def _(block: Subheading) -> str:
    return f"### {escaped(block.text)}"


@_block.register
def _(block: Bullets) -> str:
    return "\n".join(f"- {escaped(item)}" for item in block.items)


@_block.register
def _(block: Facts) -> str:
    return "\n".join(_fact(fact) for fact in block.facts)


@_block.register
def _(block: Table) -> str:
    titles = [escaped_cell(column.title) for column in block.columns]
    rule = ["---:" if column.number else "---" for column in block.columns]
    rows = [[escaped_cell(cell) for cell in row] for row in block.rows]
    return f"**{escaped(block.caption)}**\n\n" + "\n".join(_row(cells) for cells in (titles, rule, *rows))


@_block.register(Intervals)
@_block.register(Scatter)
@_block.register(Lines)
@_block.register(Parts)
def _(block: Picture) -> str:
    """A picture in words."""
    return f"*Figure: {escaped(block.alt)}*" if block.alt else ""


@_block.register
def _(block: CaseBrowser) -> str:
    note = f"At most {MOST_CASES} cases of each outcome are shown here, and at most {LONGEST} characters of a text; "
    groups = (_group(group, block) for group in block.groups)
    return "\n\n".join([note + "report.html has all cases.", *groups])


def _fact(fact: Fact) -> str:
    remark = f" ({escaped_cell(fact.remark)})" if fact.remark else ""
    return f"- **{escaped(fact.label)}:** {escaped_cell(fact.value)}{remark}"


def _group(group: CaseGroup, browser: CaseBrowser) -> str:
    shown = group.cases[:MOST_CASES]
    title = f"### {escaped(group.title)} ({len(shown)} of {len(group.cases):,} shown)"
    return "\n\n".join([title, *(_case(case, browser) for case in shown)])


def _case(case: ShownCase, browser: CaseBrowser) -> str:
    rows = [["Arm", "Score", "Answer"], ["---"] * 3, *(_answer_row(answer) for answer in case.answers)]
    parts = [
        f"#### Case {escaped(case.id)}",
        f"**Question:**\n\n{_quoted(case.question)}",
        f"**Expected:** {' *or* '.join(_cut(text) for text in case.expected)}",
        "\n".join(_row(cells) for cells in rows),
        *_retrieved(case, browser),
    ]
    return "\n\n".join(parts)


def _answer_row(answer: ShownAnswer) -> list[str]:
    text = _cut(answer.answer) or "*(nothing)*"
    remark = f" *({escaped_cell(answer.remark)})*" if answer.remark else ""
    return [escaped_cell(answer.arm), _MARKS.get(answer.mark, "") + answer.score, text + remark]


def _retrieved(case: ShownCase, browser: CaseBrowser) -> list[str]:
    lines = [
        f"- Read by {escaped(answer.arm)}: "
        + "; ".join(escaped_cell(browser.passages[name].title) for name in answer.passages)
        for answer in case.answers
        if answer.passages
    ]
    return ["\n".join(lines)] if lines else []


def _quoted(text: str) -> str:
    """A block quote that keeps line breaks (two spaces at a line's end)."""
    lines = shortened(visible(text).strip(), LONGEST).split("\n")
    return "  \n".join(f"> {_indented(line)}".rstrip() for line in lines)


def _indented(line: str) -> str:
    """A line with its indentation kept as no-break spaces, which Markdown does not take for code."""
    rest = line.lstrip(" \t")
    indent = line[: len(line) - len(rest)].expandtabs(4)
    return "\u00a0" * len(indent) + escaped(rest)


def _cut(text: str) -> str:
    return escaped_cell(shortened(text, LONGEST))


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
