"""Answers by vLLM on an NVIDIA GPU, where it is installed: paged attention, kept prefixes, adapters a request.

The prompts are rendered and cut into tokens here, as they are for weights in this process, and go to vLLM as tokens: it
gets byte for byte the same text. What it cannot do as it is done there (answers held to labels or to a schema) is left
to that model. Written against the documented interface of vLLM (`LLM`, `SamplingParams`, `LoRARequest`).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.models.base import AT_END, Completion, Job, Message, ModelDescription, Stop, TextModel
from harness.models.local import LoadedModel, weights_files

ROWS = 256
"""Prompts that are answered, and stored, together; vLLM decides how many of them run at a time."""

MEMORY = 0.45
"""Share of the GPU's memory that vLLM may take: the weights that are tuned lie beside it."""

MOST_RANK = 64
"""Highest rank of an adapter that it makes room for."""


def usable() -> bool:
    """Whether vLLM is installed and there is a CUDA device."""
    if importlib.util.find_spec("vllm") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


@dataclass
class VllmModel:
    """`TextModel` over `vllm.LLM`.

    Attributes:
        name: as `load_model` takes it.
        loaded: the same weights in this process, for the tokenizer and for tuning.
        other: answers where vLLM does not.
        adapter: that answers now, with the number that vLLM knows it by; None: the plain weights.
        aside: everything is left to `other` for now.
    """

    name: str | None
    loaded: LoadedModel
    other: TextModel
    adapter: tuple[int, Path] | None = None
    aside: bool = False
    numbers: dict[str, int] = field(default_factory=dict)

    @cached_property
    def llm(self) -> Any:
        """vLLM's engine, started when first wanted."""
        from vllm import LLM

        return LLM(
            model=str(weights_files(self.name)),
            dtype=self.loaded.machine.dtype,
            seed=0,
            trust_remote_code=False,
            max_model_len=self.loaded.description.window,
            gpu_memory_utilization=MEMORY,
            enable_prefix_caching=True,
            enable_lora=True,
            max_lora_rank=MOST_RANK,
        )

    @cached_property
    def description(self) -> ModelDescription:
        """That of the weights, with vLLM among what computes."""
        import vllm

        known = self.loaded.description
        return replace(known, runtime=f"vllm {vllm.__version__}, {known.runtime}")

    def render(self, messages: Sequence[Message]) -> str:
        """The exact prompt text for a conversation."""
        return self.loaded.render(messages)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text."""
        return self.loaded.count_tokens(text)

    def number_of(self, adapter: Path, digest: str) -> int:
        """What vLLM knows an adapter by; it keeps adapters by number, so other weights get another one."""
        return self.numbers.setdefault(f"{adapter}\n{digest}", len(self.numbers) + 1)

    def start(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        stop: Stop = AT_END,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Job:
        """Plan the answering of these prompts. An answer that is whole before its end is not cut: vLLM has no such
        test, and what a parser reads of it is the same.

        Raises:
            ValueError: answers cannot be held to `stop.schema`, or the temperature is none.
        """
        if self.aside or stop.labels or stop.schema:
            options = {"max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed}
            return self.other.start(prompts, stop=stop, **options)  # type: ignore[arg-type] # one mapping of two types
        if not 0 <= temperature < math.inf:
            raise ValueError(f"A temperature is a number of at least 0, not {temperature}.")
        sampling = {"max_tokens": max_new_tokens, "temperature": temperature}
        return VllmJob(self, tuple(prompts), sampling | ({"seed": seed} if temperature else {}), self.adapter)


@dataclass(frozen=True)
class VllmJob:
    """Prompts under way at vLLM. Not slotted: they are cut into tokens once."""

    model: VllmModel
    prompts: tuple[str, ...]
    sampling: dict[str, Any]
    adapter: tuple[int, Path] | None

    @cached_property
    def batches(self) -> tuple[tuple[int, ...], ...]:
        """The prompts' indices in their order."""
        indices = range(len(self.prompts))
        return tuple(tuple(indices[start : start + ROWS]) for start in range(0, len(indices), ROWS))

    @cached_property
    def _tokens(self) -> list[list[int]]:
        return [self.model.loaded.encode(prompt) for prompt in self.prompts]

    def answer(self, batch: tuple[int, ...]) -> list[Completion]:
        """Answer these prompts, in the batch's order."""
        from vllm import SamplingParams

        made = self.model.llm.generate(
            [{"prompt_token_ids": self._tokens[i]} for i in batch],
            SamplingParams(**self.sampling, stop_token_ids=sorted(self.model.loaded.stop_ids), detokenize=False),
            lora_request=self._lora(),
            use_tqdm=False,
        )
        return [self._completion(i, one.outputs[0]) for i, one in zip(batch, made, strict=True)]

    def _lora(self) -> Any:
        from vllm.lora.request import LoRARequest

        if self.adapter is None:
            return None
        number, folder = self.adapter
        return LoRARequest(f"adapter-{number}", number, str(folder))

    def _completion(self, index: int, found: Any) -> Completion:
        loaded = self.model.loaded
        kept = [token for token in found.token_ids if token not in loaded.stop_ids]
        text: str = loaded.tokenizer.decode(kept, skip_special_tokens=True)
        finish = "length" if found.finish_reason == "length" else "stop"
        return Completion(text.strip(), len(self._tokens[index]), len(found.token_ids), finish)
