"""`bakeoff check`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from harness.cli.common import (
    PLACE,
    ScenarioOptions,
    at_hand,
    console,
    overrides_from,
    refuse,
    scenario_options,
    show_problems,
)
from harness.errors import InputProblems
from harness.remote.url import RemoteUrl
from harness.scenario import Kind


@click.command()
@click.argument("folder", metavar="DIR", type=PLACE)
@scenario_options
def check(folder: Path | RemoteUrl, **scenario: Unpack[ScenarioOptions]) -> None:
    """Read everything in DIR and list every problem at once, with file and line.

    Exits with 2 where there are errors; warnings alone exit with 0.
    """
    from harness import api
    from harness.cli.progress import PlainWatcher

    out = console()
    try:
        with at_hand([folder], writing=False) as (here,):
            found = api.check(
                here,
                overrides=overrides_from(scenario),
                watcher=PlainWatcher(console(stderr=True)),
            )
    except InputProblems as problems:
        refuse(problems)
        return
    show_problems(out, found.problems)
    for line in summary(found):
        out.print(line, markup=False, soft_wrap=True)


KIND_WORDS = {
    Kind.LABELS: "labels",
    Kind.JSON: "JSON objects",
    Kind.SHORT_ANSWER: "short texts",
    Kind.FREE_TEXT: "free text",
}


def summary(found: object) -> list[str]:
    """What the data are, in a few lines."""
    from harness.api import Checked
    from harness.publish import numbers

    assert isinstance(found, Checked)
    audit, scenario = found.audit, found.scenario
    lines = [
        f"{scenario.name}: {numbers.counted(audit.n_eval, 'eval case')}, "
        f"{numbers.counted(audit.n_train, 'training row')}, {numbers.counted(audit.documents, 'document')}; "
        f"answers are {KIND_WORDS[scenario.kind]}.",
        f"{numbers.counted(len(audit.removed), 'training row')} would leak eval cases and will be left out.",
    ]
    if audit.label_rows_min is not None:
        lines.append(
            f"{audit.n_labels} labels; the rarest has {numbers.counted(audit.label_rows_min, 'training row')}, "
            f"the middle one {audit.label_rows_median:g}."
        )
    if audit.answerable_share is not None:
        lines.append(f"{audit.answerable_share:.0%} of the eval answers stand word for word in some document.")
    warnings = len(found.problems)
    lines.append(f"No errors, {numbers.counted(warnings, 'warning')}. Next: bakeoff plan {scenario.folder}")
    return lines
