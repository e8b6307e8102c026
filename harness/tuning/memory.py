"""What holding, answering with and tuning a network takes of a device's memory, in bytes, from its shape.

Sources: the parts of training memory, ZeRO (Rajbhandari et al. 2020, arXiv 1910.02054, 3.1); activations, Korthikanti
et al. 2022 (arXiv 2205.05198, 4.1: each tensor that the backward pass reads, here for a gated feed-forward layer and
fused attention, which keeps no scores), and with recomputation the input of each layer (ibid., 5); four bits with
double quantisation, 0.127 bits a parameter beside them, Dettmers et al. 2023 (arXiv 2305.14314, 3).
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.models.shape import Shape

NF4 = (4 + 0.127) / 8
"""Bytes a parameter."""

BESIDE = 2.0
"""Times the activations that are named: copies on the way, gradients of the passing values, what an allocator holds."""

FULL = 8 + 8
"""Bytes a parameter that learns: float32 copy, its gradient, AdamW's two moments."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Memory by what it is for, in bytes."""

    weights: float
    learning: float = 0.0
    """Of the parameters that learn: themselves, gradients, float32 copies, moments, the start's and the best so far."""
    activations: float = 0.0
    cache: float = 0.0
    """Keys and values of the prompts being answered."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.learning + self.activations + self.cache


def weights(shape: Shape, *, number: int, bits: int | None) -> float:
    """Bytes of the weights; `number`: bytes of one in the usual precision, which embedding and head keep."""
    if bits is None:
        return float(shape.parameters * number)
    return shape.in_layers * NF4 + (shape.parameters - shape.in_layers) * number


def answering(shape: Shape, *, number: int, bits: int | None, tokens: int) -> Parts:
    """Answering with so many tokens under way: keys and values of each layer (Pope et al. 2022, arXiv 2211.05102)."""
    cache = 2 * shape.layers * shape.keys * number * tokens
    # One layer at a time: what goes past it, and its feed-forward part.
    passing = number * tokens * (2 * shape.width + 3 * shape.wide)
    return Parts(weights(shape, number=number, bits=bits), cache=cache, activations=passing)


def lora(
    shape: Shape, *, number: int, bits: int | None, rank: int, tokens: int, recompute: bool, processes: int = 1
) -> Parts:
    """Tuning an adapter with steps whose parts have so many tokens; of one process, where several share the model."""
    held = weights(shape, number=number, bits=bits) / processes
    if processes > 1:
        held += _gathered(shape, number=number)
    learning = shape.adapter(rank) * (FULL + 4 * number) / processes
    passing = _passing(shape, number=number, tokens=tokens, recompute=recompute)
    return Parts(held, learning=learning, activations=passing)


def _gathered(shape: Shape, *, number: int) -> float:
    """What is whole in each process at once: the layer that computes, the next one, and all that is in no layer."""
    return number * (2 * shape.in_layers / shape.layers + shape.parameters - shape.in_layers)


def processes_for(wish: int | str | None, *, fits_one: bool, devices: int) -> int:
    """How many processes tune: as many as are wished; `auto`: one a device where one device is too small."""
    if wish == "auto":
        return 1 if fits_one else devices
    return int(wish or 1)


def full(shape: Shape, *, number: int, tokens: int, recompute: bool, processes: int = 1) -> Parts:
    """Tuning all weights; of one process, where several share the model."""
    held = weights(shape, number=number, bits=None) / processes
    if processes > 1:
        held += _gathered(shape, number=number)
    passing = _passing(shape, number=number, tokens=tokens, recompute=recompute)
    return Parts(held, learning=shape.parameters * (FULL + 3 * number) / processes, activations=passing)


def recompute_needed(plain: Parts, there: float) -> bool:
    """Whether a tuning that takes this with its activations kept fits so much memory only by computing them again."""
    return plain.total > USABLE * there


USABLE = 0.9
"""Of a device's memory: the rest is the libraries' and the system's."""


def _layer(shape: Shape) -> int:
    """Numbers a token that one layer keeps for the backward pass.

    Both norms' inputs and outputs; queries before and after rotation and the attended values; keys, rotated keys and
    values; gate, its activation, up, and their product.
    """
    return 4 * shape.width + 3 * shape.queries + 3 * shape.keys + 4 * shape.wide


ANSWERS = 0.25
"""Share of a step's tokens that are answers: only they go through the head, in float32, with their gradients."""


def _passing(shape: Shape, *, number: int, tokens: int, recompute: bool) -> float:
    kept = shape.layers * shape.width + _layer(shape) if recompute else shape.layers * _layer(shape)
    head = ANSWERS * tokens * shape.vocabulary * (number + 3 * 4)
    return BESIDE * number * tokens * kept + head
