"""How large a network is, from its configuration and the heads of its files: no weight is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
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


LARGEST = 10**15
"""No network has more of anything: a larger number is a damaged file's."""


def shape_of(place: Path) -> Shape | None:
    """The shape of the network in a folder of safetensors or in a GGUF file; None where it does not say."""
    try:
        return _of_gguf(place) if place.suffix == ".gguf" else _of_folder(place)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None


def _of_folder(folder: Path) -> Shape:
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return shape_from(said, parameters=sum(_parameters(file) for file in folder.glob("*.safetensors")))


def shape_from(said: Any, *, parameters: int) -> Shape:
    """The shape that a transformers configuration describes.

    Raises:
        ValueError: it names no such widths.
    """
    said = said if isinstance(said, Mapping) else {}
    inner = said.get("text_config")
    config = inner if isinstance(inner, Mapping) else said
    heads, width = _whole(config, "num_attention_heads"), _whole(config, "hidden_size")
    head = _whole(config, "head_dim", width // heads)
    return Shape(
        parameters=_whole({"parameters": parameters}, "parameters"),
        layers=_whole(config, "num_hidden_layers"),
        width=width,
        wide=_whole(config, "intermediate_size", 4 * width),
        queries=heads * head,
        keys=_whole(config, "num_key_value_heads", heads) * head,
        vocabulary=_whole(config, "vocab_size"),
    )


def _whole(said: Mapping[str, Any], name: str, usual: int = 0) -> int:
    """A count of at least 1; `usual` where nothing, or 0, is said.

    Raises:
        ValueError: it is none.
    """
    value = said.get(name) or usual
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not 1 <= value <= LARGEST
        or value != int(value)
    ):
        raise ValueError(f"{name} is no count: {value!r}"[:100])
    return int(value)


LONGEST_HEAD = 100_000_000
"""Bytes, as the safetensors library has it."""


def _parameters(file: Path) -> int:
    """Numbers in a safetensors file: eight bytes say how long the JSON is that follows, which names every shape."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > LONGEST_HEAD:
            raise ValueError("no safetensors file")
        head: Mapping[str, Any] = json.loads(stream.read(length))
    shapes = [tensor["shape"] for name, tensor in head.items() if name != "__metadata__"]
    if any(type(width) is not int or width < 0 for shape in shapes for width in shape):
        raise ValueError("no shapes")
    return sum(math.prod(shape) for shape in shapes)


def _of_gguf(file: Path) -> Shape:
    reader = _gguf_reader()(file)

    def value(name: str) -> Any:
        return reader.fields[name].contents()

    kind = value("general.architecture")
    names = {
        "hidden_size": "embedding_length",
        "num_attention_heads": "attention.head_count",
        "num_key_value_heads": "attention.head_count_kv",
        "num_hidden_layers": "block_count",
        "intermediate_size": "feed_forward_length",
    }
    said = {ours: value(f"{kind}.{theirs}") for ours, theirs in names.items() if f"{kind}.{theirs}" in reader.fields}
    said["vocab_size"] = len(reader.fields["tokenizer.ggml.tokens"].data)
    shape = shape_from(said, parameters=sum(int(tensor.n_elements) for tensor in reader.tensors))
    return replace(shape, queries=shape.width)


MOST_READS = 10_000_000
"""Numbers and texts of a GGUF file's metadata: four for each of a vocabulary's tokens, and the merges."""


def _gguf_reader() -> Any:
    """The library's reader, which reads on in nothing where a file ends too early; this one does not."""
    from gguf import GGUFReader

    class Reader(GGUFReader):  # type: ignore[misc]
        reads = 0

        def _get(self, offset: int, dtype: Any, count: int = 1, override_order: Any = None) -> Any:
            found = super()._get(offset, dtype, count, override_order)
            self.reads += 1
            if len(found) < count or self.reads > MOST_READS:
                raise ValueError("no GGUF file, or one that was cut")
            return found

    return Reader
