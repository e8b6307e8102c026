"""All arms by name; reached by dotted path, so that nothing heavy is imported before it is wanted."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from harness.arms.base import Arm
from harness.errors import UserError

ARMS: dict[str, str] = {
    "dummy": "harness.arms.dummy:DummyArm",
    "prompt": "harness.arms.prompt:PromptArm",
    "few_shot": "harness.arms.few_shot:FewShotArm",
    "nearest_shots": "harness.arms.nearest_shots:NearestShotsArm",
    "rag": "harness.arms.rag:RagArm",
    "lora": "harness.arms.lora:LoraArm",
    "rag_lora": "harness.arms.rag_lora:RagLoraArm",
}

EXTRA: dict[str, str] = {
    "classifier": "harness.arms.classifier:ClassifierArm",
    "lora_documents": "harness.arms.lora_documents:LoraDocumentsArm",
    "full_tuning": "harness.arms.full_tuning:FullTuningArm",
}
"""Arms of experiments; they take no part in the comparison itself."""


def registered() -> dict[str, str]:
    """The built-in arms and those that other packages bring (entry points `harness.arms`)."""
    return ARMS | {point.name: point.value for point in entry_points(group="harness.arms")}


def arm(name: str) -> Arm:
    """The arm of this name.

    Raises:
        UserError: there is none.
    """
    known = EXTRA | registered()
    if name not in known:
        raise UserError(f"There is no arm {name!r}. Known arms: {', '.join(registered())}.")
    module, _, attribute = known[name].partition(":")
    return cast(Arm, getattr(import_module(module), attribute)())
