"""Many training examples in one row: what their prompts share stands in it once, each sees that and itself only.

Loss and gradients are those of one example a row; a fraction of the tokens goes through the model, none is padding, and
the head is asked about answer tokens only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.generation.attention import Packed, run
from harness.generation.forest import Forest, plant
from harness.tuning.examples import Row


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Examples in one flat row."""

    plan: Packed
    asked: tuple[int, ...]
    """Places whose next token is an answer token."""
    answers: tuple[int, ...]
    """Those answer tokens."""


def pack(rows: Sequence[Row]) -> PackedRows:
    """Pack examples; each keeps at least the last token of its prompt to itself."""
    forest = plant([row.prompt for row in rows])
    whole = Forest(
        tuple(
            s if s.prompt is None else s._replace(tokens=(*s.tokens, *rows[s.prompt].answer)) for s in forest.segments
        )
    )
    plan = Packed(whole)
    asked: list[int] = []
    answers: list[int] = []
    for place in whole.leaves:
        prompt = whole.segments[place].prompt
        answer = rows[prompt].answer if prompt is not None else ()
        end = plan.starts[place + 1]
        asked += range(end - len(answer) - 1, end - 1)
        answers += answer
    return PackedRows(plan, tuple(asked), tuple(answers))


def packed_loss(model: Any, rows: Sequence[Row]) -> tuple[Any, int]:
    """Summed cross-entropy over the rows' answer tokens, and their number."""
    import torch

    packed = pack(rows)
    tokens = torch.tensor(packed.plan.tokens)
    positions = torch.tensor(packed.plan.positions)
    hidden = run(model, packed.plan, tokens=tokens, positions=positions)
    logits = model.get_output_embeddings()(hidden[torch.tensor(packed.asked)]).float()
    targets = torch.tensor(packed.answers)
    return torch.nn.functional.cross_entropy(logits, targets, reduction="sum"), len(packed.answers)
