"""The processes that tune one model together: who takes which rows, and what their losses come to.

The weights lie in shares, and each pass through the model gathers them from all, so all make equally many passes. A
process with fewer parts than another makes the rest with a part that weighs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness.tuning.examples import Row

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Team:
    """One process of a team."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    def shared(
        self, rows: Sequence[Row], cut: Callable[[Sequence[Row]], list[list[Row]]]
    ) -> list[tuple[list[Row], float]]:
        """This process's parts of the rows, cut by `cut`, each with what its loss weighs.

        Gradients are averaged over the team, so a part weighs as many times as there are processes.
        """
        if self.size == 1:
            return [(part, 1.0) for part in cut(rows)]
        shares = [cut(rows[rank :: self.size]) if rows[rank :: self.size] else [] for rank in range(self.size)]
        mine = [(part, float(self.size)) for part in shares[self.rank]]
        passes = max(map(len, shares))
        return mine + [([rows[0]], 0.0)] * (passes - len(mine))

    def summed(self, loss: float, tokens: int) -> tuple[float, int]:
        """Loss and tokens of all processes together."""
        if self.size == 1:
            return loss, tokens
        import torch

        both = torch.tensor([loss, tokens], dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(both)
        return float(both[0]), int(both[1])

    def told(self, value: T) -> T:
        """The first process's value, for all."""
        if self.size == 1:
            return value
        import torch

        held = [value]
        torch.distributed.broadcast_object_list(held, src=0)
        return held[0]

    def all(self, holds: bool) -> bool:
        """Whether it holds for every process."""
        return self.summed(float(holds), 0)[0] == self.size

    def wait(self) -> None:
        """Until all have come here."""
        if self.size > 1:
            import torch

            torch.distributed.barrier()


ALONE = Team()
