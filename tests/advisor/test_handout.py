"""The questions as a document for a workshop."""

from advisor.questionnaire import load_questionnaire, parse_value
from advisor.render.handout import BOX, LINE, questions_report
from harness.publish.blocks import Subheading, Table
from harness.publish.markdown import to_markdown

QUESTIONS = load_questionnaire().questions


def tables():
    found = {}
    for section in questions_report().sections:
        for block in section.blocks:
            if isinstance(block, Table):
                found[block.caption.partition("(")[2].rstrip(")")] = block
    return found


def test_every_question_is_asked_once_under_its_topic_in_the_usual_order():
    asked = [
        (section.title, block.text.partition(". ")[2])
        for section in questions_report().sections
        for block in section.blocks
        if isinstance(block, Subheading)
    ]
    assert asked == [(question.topic, question.text) for question in QUESTIONS]
    anchors = [section.anchor for section in questions_report().sections]
    assert len(set(anchors)) == len(anchors)


def test_every_answer_has_a_box_its_value_for_the_file_and_room_for_who_said_it():
    for question in QUESTIONS:
        answers = [row[0] for row in tables()[question.key].rows]
        assert all(answer.startswith(BOX) or answer.endswith(LINE) for answer in answers)
        assert all(row[1] == LINE for row in tables()[question.key].rows)
        values = [answer.rpartition("[")[2].rstrip("]") for answer in answers if answer.startswith(BOX)]
        assert {str(value).lower() for value in question.values} <= set(values)
        assert [parse_value(question, value) for value in values][-1] is None


def test_it_says_how_to_run_the_workshop_and_how_the_answers_are_used():
    text = to_markdown(questions_report())
    assert "How to run the workshop" in text
    assert "advise --answers" in text
    for question in QUESTIONS:
        assert question.help.split(".")[0][:30] in text
