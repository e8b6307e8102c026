"""The questions on paper: a handout for a workshop, and an empty answers file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from advisor.questionnaire import Kind, Question, load_questionnaire
from advisor.render.words import capital
from harness.publish.blocks import Block, Bullets, Column, Paragraph, Report, Section, Subheading, Table

BOX = "☐"
LINE = "…" * 11
"""Room to write."""
_COLUMNS = (Column("Answer"), Column("Who said it, and why"))
_ABOUT = (
    "This handout leads a group through the questions on which the choice rests between prompting, retrieval (RAG), "
    "fine-tuning and combinations of them."
)
_HOW = (
    "Bring together who knows the job, who knows the data, who will run the system, and who pays for it.",
    "Go through the questions in their order. Read “why it matters” aloud where a question is not clear at once.",
    "Tick one answer, and write down who said it and why: the advice names the source of every answer.",
    "Where the group disagrees, write both down and go on. The data may settle it later.",
    "What stands in brackets is for the file of answers; the group need not mind it.",
    "“Don't know” is an answer. The advice says which open questions matter, and what they could change.",
    "Leave out what makes no sense for this use case, such as questions about documents where there are none.",
)


def questions_report() -> Report:
    """The whole questionnaire as a document: how to run the workshop, the questions by topic, what to do afterwards."""
    numbered = list(enumerate(load_questionnaire().questions, 1))
    topics = tuple(_topic(topic, list(group)) for topic, group in groupby(numbered, key=lambda one: one[1].topic))
    title = "Prompt, retrieve, fine-tune, or combine?"
    return Report(title, "Questions for a workshop", _cover(), (*topics, _afterwards()), "Made by advise questions.")


def answers_template() -> str:
    """TOML for `advise --answers FILE`: take the # away where there is an answer."""
    head = ["# Answers for `advise --answers FILE`. Take the # away and put the value in; leave what nobody knows.", ""]
    return "\n".join([*head, *(line for question in load_questionnaire().questions for line in _lines(question))])


def _cover() -> Section:
    topics = dict.fromkeys(question.topic for question in load_questionnaire().questions)
    blanks = tuple((what, LINE * 2) for what in ("Use case", "Date", "Present"))
    blocks: tuple[Block, ...] = (
        Paragraph(_ABOUT, lead=True),
        Table("To fill in", (Column("What"), Column("Entry")), blanks),
        Subheading("How to run the workshop"),
        Bullets(_HOW),
        Paragraph(f"Topics: {', '.join(topic.lower() for topic in topics)}."),
    )
    return Section("Workshop handout", "workshop", blocks)


def _topic(topic: str, numbered: list[tuple[int, Question]]) -> Section:
    blocks = tuple(block for number, question in numbered for block in _question(number, question))
    anchor = "-".join("".join(sign if sign.isalnum() else " " for sign in topic.lower()).split())
    return Section(topic, anchor, blocks)


def _question(number: int, question: Question) -> Iterator[Block]:
    yield Subheading(f"{number}. {question.text}")
    yield Paragraph(f"Why it matters: {question.help}")
    yield Paragraph(f"Example: {question.example}", note=True)
    rows = tuple((answer, LINE) for answer in (*_answers(question), f"{BOX} Don't know [unknown]"))
    yield Table(f"Answer to question {number} ({question.key})", _COLUMNS, rows)


def _answers(question: Question) -> Iterator[str]:
    """With the value for the file of answers in brackets."""
    if question.kind is Kind.BOOLEAN:
        yield from (f"{BOX} Yes [true]", f"{BOX} No [false]")
    for choice in question.choices:
        more = f" ({choice.help.rstrip('.')})" if choice.help else ""
        yield f"{BOX} {choice.label}{more} [{choice.value}]"
    if question.unit:
        yield f"Number of {question.unit.many}: {LINE}"
    for one in question.suggestions:
        yield f"{BOX} {capital(one.label)} [{one.value:,}]"


def _afterwards() -> Section:
    steps = (
        "advise questions --toml > answers.toml writes a file with every question in it.",
        "Take the # away from a line and put in what stands in brackets behind the answer, or the number; leave the "
        "lines that nobody could answer.",
        "advise --answers answers.toml --format docx makes the advice as a document, with reasons, odds and what would "
        "change it.",
        "Where there are data, add --data FOLDER: what can be counted is measured, and the advice says where it "
        "contradicts what was said.",
    )
    return Section("After the workshop", "afterwards", (Bullets(steps),))


def _lines(question: Question) -> Iterator[str]:
    yield f"# {question.text}"
    if question.choices:
        for choice in question.choices:
            yield f'#   "{choice.value}": {choice.label}'
        yield f'# {question.key} = "{question.choices[0].value}"'
    elif question.unit:
        yield f"#   a number of {question.unit.many}"
        yield f"# {question.key} = {question.suggestions[0].value if question.suggestions else question.lowest}"
    else:
        yield f"# {question.key} = true"
    yield ""
