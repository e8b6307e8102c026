"""An empty answers file with every question as a comment."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.questionnaire import Question, load_questionnaire


def answers_template() -> str:
    """TOML for `advise --answers FILE`: take the # away where there is an answer."""
    head = ["# Answers for `advise --answers FILE`. Take the # away and put the value in; leave what nobody knows.", ""]
    return "\n".join([*head, *(line for question in load_questionnaire().questions for line in _lines(question))])


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
