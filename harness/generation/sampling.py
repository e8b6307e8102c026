"""Answers drawn at a temperature, the same for the same prompt and seed whatever stands beside it in a batch.

Adding Gumbel noise to the scores and taking the best draws from their softmax (Gumbel 1954; Maddison et al. 2014,
arXiv 1411.0030), and the best of fewer tokens draws from the softmax over those: a held answer needs nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.generation.held import Held


@dataclass(frozen=True, slots=True)
class Drawn:
    """One answer that is drawn (`held.Held`)."""

    temperature: float
    noise: np.random.Generator
    """The answer's own; each token takes the same number of draws, so its state is the position."""
    held: Held | None = None
    """What the answer is held to besides."""

    def choose(self, scores: Any) -> int:
        """A token, with the probability that its score has at this temperature."""
        import torch

        drawn = scores.float() + self.temperature * torch.from_numpy(gumbel(self.noise, scores.shape[-1]))
        return self.held.choose(drawn) if self.held else int(drawn.max(dim=-1).indices)

    def rest(self) -> tuple[int, ...]:
        """What is left where nothing is to choose."""
        return self.held.rest() if self.held else ()


def noise_for(prompt: Sequence[int], *, seed: int) -> np.random.Generator:
    """The noise of one prompt's answer, from its tokens and the seed alone."""
    digest = hashlib.sha256(json.dumps([seed, list(prompt)]).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def gumbel(noise: np.random.Generator, n: int) -> Any:
    """Standard Gumbel draws in float32; a uniform draw of exactly 0 gives -inf, which never wins."""
    drawn = noise.random(n, dtype=np.float32)
    with np.errstate(divide="ignore"):
        np.log(drawn, out=drawn)
        np.negative(drawn, out=drawn)
        np.log(drawn, out=drawn)
    return np.negative(drawn, out=drawn)
