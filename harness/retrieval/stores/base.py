"""What a vector store must do to hold a scenario's passages: two methods, so that any store can be one.

Vectors are unit vectors, so nearest by inner product is nearest by cosine.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""One unit vector a row."""


class VectorStore(Protocol):
    """Vectors in the order in which they were added; the first has position 0."""

    def add(self, vectors: Vectors) -> None:
        """Append these, shape (rows, dimension); positions go on counting from those that are held."""

    def nearest(self, vectors: Vectors, *, k: int) -> list[list[int]]:
        """For each of these vectors the positions of the k nearest, nearest first (all, where fewer are held)."""
