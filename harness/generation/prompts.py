"""The one prompt builder. Every arm's prompt is made here, so arms differ only in the shots and passages they bring.

Taking the passages' block out of a prompt with passages gives the plain prompt, byte for byte (a test holds that).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from harness.models.base import Message
from harness.records import Passage
from harness.scenario import Case


class Framing(StrEnum):
    """Where the instruction stands and how the input is marked; one is chosen on dev for all arms."""

    SYSTEM = "system"
    """Instruction as the system message, the input alone as the user's turn."""
    USER = "user"
    """Instruction and input together in the user's turn."""
    MARKED = "marked"
    """Instruction as the system message, the input between marks: `Input: ... / Answer:`."""


def passages_block(passages: Sequence[Passage]) -> str:
    """The passages as they stand before the input; empty where there are none."""
    if not passages:
        return ""
    shown = "\n\n".join(f"[{p.title}]\n{p.text}" if p.title else p.text for p in passages)
    return f"Context:\n{shown}\n\n"


def build_messages(
    instruction: str,
    text: str,
    *,
    framing: Framing = Framing.SYSTEM,
    shots: Sequence[Case] = (),
    passages: Sequence[Passage] = (),
) -> list[Message]:
    """The conversation for one input.

    Args:
        instruction: what to do; the same for every arm.
        text: the case's input.
        framing: where the instruction stands.
        shots: worked examples, shown as earlier turns, first to last.
        passages: retrieved passages, put right before the input.
    """
    turns: list[Message] = []
    for shot in shots:
        turns.append(Message("user", _user_text(shot.input, framing)))
        turns.append(Message("assistant", shot.output))
    turns.append(Message("user", passages_block(passages) + _user_text(text, framing)))
    if framing is Framing.USER:
        first = turns[0]
        turns[0] = Message("user", f"{instruction}\n\n{first.content}")
        return turns
    return [Message("system", instruction), *turns]


def _user_text(text: str, framing: Framing) -> str:
    return f"Input: {text}\nAnswer:" if framing is Framing.MARKED else text
