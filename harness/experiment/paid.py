"""What a run asks of an endpoint: counted while it runs, kept with it, and said where its budget ends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from harness.engines.endpoint import EndpointEngine
from harness.errors import RunStopped
from harness.experiment.options import Watcher
from harness.experiment.prepared import Prepared
from harness.models.endpoint_ledger import BudgetSpent
from harness.publish import numbers
from harness.records import CONTROL
from harness.store import RunFolder


@contextmanager
def paid(ready: Prepared, folder: RunFolder, watcher: Watcher) -> Iterator[None]:
    """Count what is asked inside where the model is behind an endpoint; elsewhere nothing happens.

    Raises:
        RunStopped: the budget is spent; it says what is open.
    """
    engine = ready.engine
    if not isinstance(engine, EndpointEngine):
        yield
        return
    engine.tell.append(watcher.note)
    try:
        engine.begin(folder, ready.scenario)
        yield
    except BudgetSpent as error:
        raise RunStopped(f"{error} {_open(ready, folder)}") from None
    finally:
        if folder.has("provenance.json"):
            folder.write("provenance.json", replace(folder.provenance(), spent=engine.model.state.ledger.spent))


def _open(ready: Prepared, folder: RunFolder) -> str:
    """What is not answered yet, arm by arm."""
    known, cases = folder.predictions(), len(ready.scenario.cases)
    arms = [arm for arm in ready.places.arms if arm != CONTROL]
    left = {arm: cases - len(known.get(arm, {})) for arm in arms}
    parts = [f"{arm} {count:,}" for arm, count in left.items() if count]
    what = (
        f"Open are {numbers.counted(sum(left.values()), 'answer')} ({', '.join(parts)})"
        if parts
        else "All arms have answered; open are timed requests or experiments"
    )
    return f"{what}; the run is in {folder.path}."
