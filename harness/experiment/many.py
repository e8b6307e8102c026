"""Several runs in one command: each has its own folder and verdict, and one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from harness.engines.local import Engine, LocalEngine
from harness.errors import RunStopped
from harness.experiment.options import RunOptions
from harness.experiment.prepared import Prepared
from harness.generation.isolation import attempt

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """A run that is to be made."""

    ready: Prepared
    options: RunOptions


def told(call: Callable[[], T]) -> T | Exception:
    """What a run's part returns, or what went wrong; where one run stops to ask its user, the others go on."""
    try:
        return attempt(call)
    except RunStopped as error:
        return error


def sharing_weights(runs: Sequence[Asked]) -> list[Asked]:
    """The same runs; those on the same weights load them once."""
    known: dict[Engine, Engine] = {}
    return [
        replace(one, ready=replace(one.ready, engine=known.setdefault(one.ready.engine, one.ready.engine)))
        if isinstance(one.ready.engine, LocalEngine)
        else one
        for one in runs
    ]
