"""How large a network is, from its configuration and the heads of its files: no weight is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """What the memory of a decoder follows from. Widths are in numbers a token."""

    parameters: int
    layers: int
    width: int
    """Of the hidden state."""
    wide: int
    """Of the feed-forward layer."""
    queries: int
    """Of all query heads together."""
    keys: int
    """Of all key heads together; the values are as wide."""
    vocabulary: int

    @property
    def in_layers(self) -> int:
        """Parameters of the linear layers between embedding and head."""
        attention = self.width * (2 * self.queries + 2 * self.keys)
        return min(self.parameters, self.layers * (attention + 3 * self.width * self.wide))

    def adapter(self, rank: int) -> int:
        """Parameters of a LoRA adapter on all linear layers: rank x (in + out) each."""
        attention = 2 * (self.width + self.queries) + 2 * (self.width + self.keys)
        return self.layers * rank * (attention + 3 * (self.width + self.wide))


def shape_of(place: Path) -> Shape | None:
    """The shape of the network in a folder of safetensors or in a GGUF file; None where it does not say."""
    try:
        return _of_gguf(place) if place.suffix == ".gguf" else _of_folder(place)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _of_folder(folder: Path) -> Shape:
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return shape_from(said, parameters=sum(_parameters(file) for file in folder.glob("*.safetensors")))


def shape_from(said: Mapping[str, Any], *, parameters: int) -> Shape:
    """The shape that a transformers configuration describes.

    Raises:
        KeyError: it names no such widths.
    """
    config = said.get("text_config", said)
    heads = int(config["num_attention_heads"])
    head = int(config.get("head_dim") or config["hidden_size"] // heads)
    return Shape(
        parameters=parameters,
        layers=int(config["num_hidden_layers"]),
        width=int(config["hidden_size"]),
        wide=int(config.get("intermediate_size") or 4 * config["hidden_size"]),
        queries=heads * head,
        keys=int(config.get("num_key_value_heads") or heads) * head,
        vocabulary=int(config["vocab_size"]),
    )


LONGEST_HEAD = 100_000_000
"""Bytes, as the safetensors library has it."""


def _parameters(file: Path) -> int:
    """Numbers in a safetensors file: eight bytes say how long the JSON is that follows, which names every shape."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > LONGEST_HEAD:
            raise ValueError("no safetensors file")
        head: Mapping[str, Any] = json.loads(stream.read(length))
    return sum(math.prod(tensor["shape"]) for name, tensor in head.items() if name != "__metadata__")


def _of_gguf(file: Path) -> Shape:
    from gguf import GGUFReader

    reader = GGUFReader(file)

    def value(name: str) -> Any:
        return reader.fields[name].contents()

    kind = value("general.architecture")
    width, heads = int(value(f"{kind}.embedding_length")), int(value(f"{kind}.attention.head_count"))
    groups = f"{kind}.attention.head_count_kv"
    return Shape(
        parameters=sum(int(tensor.n_elements) for tensor in reader.tensors),
        layers=int(value(f"{kind}.block_count")),
        width=width,
        wide=int(value(f"{kind}.feed_forward_length")),
        queries=width,
        keys=width // heads * (int(value(groups)) if groups in reader.fields else heads),
        vocabulary=len(reader.fields["tokenizer.ggml.tokens"].data),
    )
