"""Weights in this process for tuning, vLLM for answering: chosen where vLLM is installed and there is a CUDA device."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.arms.bench import Tuner
from harness.engines.local import Engine, LocalEngine
from harness.models.base import ModelIdentity
from harness.models.bundled import file_digest
from harness.models.vllm import MOST_RANK, VllmModel, usable
from harness.scenario import TuningWish
from harness.tuning.full import is_full
from harness.tuning.lora import WEIGHTS_FILE

SWITCH = "BAKEOFF_VLLM"
"""Set to `off`, this environment variable keeps vLLM out."""


def answering_by_vllm(engine: Engine) -> Engine:
    """The engine with vLLM in front of it, where that can be; else itself. Weights in four bits stay where they are."""
    if not isinstance(engine, LocalEngine) or engine.bits or os.environ.get(SWITCH) == "off" or not usable():
        return engine
    return VllmEngine(engine)


@dataclass(frozen=True)
class VllmEngine:
    """`Engine` that answers by vLLM. Not slotted: vLLM is started when first wanted."""

    local: LocalEngine

    def __reduce__(self) -> tuple[type[VllmEngine], tuple[LocalEngine]]:
        """Travels to another process as its name: the weights are loaded there."""
        return VllmEngine, (self.local,)

    @property
    def identity(self) -> ModelIdentity:
        """Which weights these are."""
        return self.local.identity

    @cached_property
    def model(self) -> VllmModel:
        """What answers."""
        return VllmModel(self.local.name, self.local.loaded, self.local.model)

    def tuner(self, folder: Path, *, quick: bool, seed: int, wish: TuningWish, use_cache: bool) -> Tuner | None:
        """That of the weights in this process."""
        return self.local.tuner(folder, quick=quick, seed=seed, wish=wish, use_cache=use_cache)

    @contextlib.contextmanager
    def adapted(self, adapter: Path | None) -> Iterator[None]:
        """vLLM answers with this adapter for a while, and the weights in this process do so too; a whole set of
        weights, or an adapter of a rank that vLLM has no room for, is left to those."""
        if adapter is None:
            yield
            return
        aside = is_full(adapter) or _rank(adapter) > MOST_RANK
        number = self.model.number_of(adapter.resolve(), file_digest(adapter / WEIGHTS_FILE))
        with self.local.adapted(adapter):
            self.model.aside, self.model.adapter = aside, (number, adapter.resolve())
            try:
                yield
            finally:
                self.model.aside, self.model.adapter = False, None


def _rank(adapter: Path) -> int:
    return int(json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["r"])
