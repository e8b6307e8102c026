"""The one prompt builder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.generation.prompts import Framing, build_messages, passages_block
from harness.models.base import Message
from harness.records import Passage
from harness.scenario import Case

SHOTS = (Case("t1", "one?", "1"), Case("t2", "two?", "2"))
PASSAGES = (Passage("p1", "d1", "Title", "Text."), Passage("p2", "d2", "", "No title."))
BLOCK = "Context:\n[Title]\nText.\n\nNo title.\n\n"


def test_without_passages_the_block_is_empty():
    assert passages_block(()) == ""


def test_passages_stand_under_their_titles_first_to_last():
    assert passages_block(PASSAGES) == BLOCK


@pytest.mark.parametrize(
    ("framing", "expected"),
    [
        (Framing.SYSTEM, [("system", "Do it."), ("user", "three?")]),
        (Framing.USER, [("user", "Do it.\n\nthree?")]),
        (Framing.MARKED, [("system", "Do it."), ("user", "Input: three?\nAnswer:")]),
    ],
)
def test_the_plain_conversation_of_each_framing(framing, expected):
    assert build_messages("Do it.", "three?", framing=framing) == [Message(*turn) for turn in expected]


@pytest.mark.parametrize(
    ("framing", "expected"),
    [
        (
            Framing.SYSTEM,
            [
                ("system", "Do it."),
                ("user", "one?"),
                ("assistant", "1"),
                ("user", "two?"),
                ("assistant", "2"),
                ("user", f"{BLOCK}three?"),
            ],
        ),
        (
            Framing.USER,
            [
                ("user", "Do it.\n\none?"),
                ("assistant", "1"),
                ("user", "two?"),
                ("assistant", "2"),
                ("user", f"{BLOCK}three?"),
            ],
        ),
        (
            Framing.MARKED,
            [
                ("system", "Do it."),
                ("user", "Input: one?\nAnswer:"),
                ("assistant", "1"),
                ("user", "Input: two?\nAnswer:"),
                ("assistant", "2"),
                ("user", f"{BLOCK}Input: three?\nAnswer:"),
            ],
        ),
    ],
)
def test_shots_are_earlier_turns_and_passages_stand_right_before_the_input(framing, expected):
    made = build_messages("Do it.", "three?", framing=framing, shots=SHOTS, passages=PASSAGES)
    assert made == [Message(*turn) for turn in expected]


def test_with_the_instruction_in_the_users_turn_passages_stand_between_it_and_the_input():
    made = build_messages("Do it.", "three?", framing=Framing.USER, passages=PASSAGES)
    assert made == [Message("user", f"Do it.\n\n{BLOCK}three?")]


texts = st.text(max_size=40)
passages = st.builds(Passage, id=texts, document_id=texts, title=texts, text=texts)
cases = st.builds(Case, id=texts, input=texts, output=texts)


@given(texts, texts, st.sampled_from(Framing), st.lists(cases, max_size=3), st.lists(passages, min_size=1, max_size=3))
def test_the_passages_block_is_all_that_passages_add_whatever_the_texts_are(instruction, text, framing, shots, found):
    plain = build_messages(instruction, text, framing=framing, shots=shots)
    made = build_messages(instruction, text, framing=framing, shots=shots, passages=found)
    block = passages_block(found)
    assert made[:-1] == plain[:-1]
    with_block, without = made[-1].content, plain[-1].content
    assert len(with_block) == len(without) + len(block)
    head = with_block.index(block) if shots or framing is not Framing.USER else len(instruction) + 2
    assert with_block[:head] + with_block[head + len(block) :] == without
