"""The bake-off from Python: one function a command. The commands of `bakeoff` call these and print what they return.

    from pathlib import Path
    from harness import api

    finished = api.run(Path("my-data"), options=api.RunOptions(quick=True))
    print(finished.verdict.kind, finished.verdict.arm)

Nothing here prints. What a user can mend is raised as `harness.errors.UserError`.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from harness.arms.registry import registered
from harness.audit.lengths import too_long
from harness.audit.report import Audit, Embed, audit
from harness.errors import InputProblems, MissingModel, RunFolderError, UserError
from harness.experiment import finish as finishing
from harness.experiment.advice import EXPLORED, relation_of
from harness.experiment.cluster_runs import run_on_cluster
from harness.experiment.many import Asked, sharing_weights, told
from harness.experiment.options import RunOptions, Silent, Watcher
from harness.experiment.plan import Plan
from harness.experiment.prepared import Prepared
from harness.experiment.run import Finished, prepare, run, run_prepared
from harness.lines import AllOf
from harness.metrics.registry import deciding_metrics, metric_named
from harness.publish.client_file import ClientFile, read_client
from harness.publish.write import templates_in
from harness.records import ArmScore, Comparison, Verdict
from harness.remote.url import RemoteUrl, remote_url
from harness.remote.working import brought, sent_to, working_copy
from harness.report.advice_file import AdviceFile, read_advice_file
from harness.report.content import ReportData
from harness.report.redact import all_redacted, redacted
from harness.report.write import USUAL, Form, write_reports
from harness.retrieval.embed import SentenceEmbedder
from harness.scenario import Problem, Scenario, StatedAdvice
from harness.scenario_file.columns import ColumnMap
from harness.scenario_file.hugging_face import SCHEME, fetch_dataset
from harness.scenario_file.init import InitResult, init_folder
from harness.scenario_file.read import Overrides, read_scenario, read_what_is_readable
from harness.store import RunFolder, open_run

__all__ = [
    "ArmScore",
    "Asked",
    "Checked",
    "ColumnMap",
    "ExportOptions",
    "Finished",
    "InitResult",
    "Overrides",
    "Plan",
    "Prepared",
    "RemoteUrl",
    "ReportOptions",
    "RunOptions",
    "RunSummary",
    "check",
    "compare",
    "export",
    "history",
    "init_folder",
    "init_source",
    "name_among_several",
    "plan",
    "prepare",
    "prepare_many",
    "read_scenario",
    "remote_url",
    "report",
    "report_data",
    "run",
    "run_many",
    "run_prepared",
    "score",
    "sent_to",
    "working_copy",
]


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found in a folder without errors."""

    scenario: Scenario
    audit: Audit
    problems: tuple[Problem, ...]
    """Warnings of reading and of the audit."""


def check(path: Path, *, overrides: Overrides | None = None, watcher: Watcher | None = None) -> Checked:
    """Read everything and look for leaks, contradictions, answers nobody can find and rows that are too long.

    Raises:
        InputProblems: the files have errors; all of them, and the warnings, are listed.
    """
    watcher = watcher or Silent()
    read = read_what_is_readable(
        path,
        overrides=overrides or Overrides(),
        known_arms=tuple(registered()),
        known_metrics=deciding_metrics(),
    )
    scenario = read.scenario
    if scenario is None:
        raise InputProblems(read.problems)
    watcher.stage("audit")
    found = audit(scenario, embed=_embed(scenario, watcher))
    audited = (*found.problems, *_long_rows(scenario, watcher))
    if any(problem.level == "error" for problem in read.problems):
        raise InputProblems((*read.problems, *audited))
    return Checked(scenario, found, (*scenario.warnings, *audited))


def _embed(scenario: Scenario, watcher: Watcher) -> Embed | None:
    if not scenario.train:
        return None
    try:
        return SentenceEmbedder(scenario.embedder).encode
    except MissingModel as error:
        watcher.note(f"Near duplicates were not looked for: {error}")
        return None


def _long_rows(scenario: Scenario, watcher: Watcher) -> Sequence[Problem]:
    """Rows longer than the model's window, counted with its own tokenizer; none where the model is not here."""
    from harness.models.local import window_and_counter

    try:
        window, count = _endpoints_window(scenario) or window_and_counter(scenario.model)
    except MissingModel as error:
        watcher.note(f"Lengths were not counted: {error}")
        return ()
    cases = too_long(scenario.cases, window=window, count_tokens=count, file=scenario.eval_file)
    return (*cases, *too_long(scenario.train, window=window, count_tokens=count, file=scenario.train_file))


def _endpoints_window(scenario: Scenario) -> tuple[int, Callable[[str], int]] | None:
    """Window and an estimate of tokens where the model is behind an endpoint, whose tokenizer is not known here."""
    from harness.engines.endpoint import engine_of

    engine = engine_of(scenario)
    return (engine.model.window, engine.model.count_tokens) if engine else None


def init_source(
    source: Path,
    *,
    into: Path | None = None,
    columns: ColumnMap | None = None,
    eval_size: int | None = None,
    seed: int = 0,
    force: bool = False,
) -> InitResult:
    """`init_folder` for a table, a dataset in a folder, or one on the hub (`hf://owner/name`); `into` has a default.

    Raises:
        InputProblems: the source cannot be read or used.
        UserError: the dataset cannot be fetched.
    """
    named = source.as_posix()
    columns = columns or ColumnMap()
    if not named.startswith(SCHEME):
        target = into or (source.with_name(f"{source.name}-bakeoff") if source.is_dir() else source.with_suffix(""))
        return init_folder(source, into=target, columns=columns, eval_size=eval_size, seed=seed, force=force)
    with tempfile.TemporaryDirectory() as work:
        saved = Path(work) / source.name
        fetch_dataset(named, saved)
        return init_folder(
            saved, into=into or Path(source.name), columns=columns, eval_size=eval_size, seed=seed, force=force
        )


def plan(path: Path, *, options: RunOptions | None = None, watcher: Watcher | None = None) -> Plan:
    """What a run would do, what it could show, and what it would take. Loads no language model."""
    return prepare(path, options=options or RunOptions(), watcher=watcher).plan


def prepare_many(
    paths: Sequence[Path], *, options: RunOptions, watcher: Watcher | None = None
) -> list[Asked | Exception]:
    """`prepare` for several scenarios, or why it could not be done; `options.out` then holds a folder for each of them.

    Raises:
        UserError: two of them would go into the same folder.
    """
    outs = [_own_out(path, options, alone=len(paths) == 1) for path in paths]
    twice = [out for out in outs if out is not None and outs.count(out) > 1]
    if twice:
        raise UserError(f"Two runs would go into {twice[0]}. Leave --out out, or give the folders different names.")
    each = [(path, replace(options, out=out)) for path, out in zip(paths, outs, strict=True)]
    return [told(partial(_asked, path, own, watcher)) for path, own in each]


def _asked(path: Path, options: RunOptions, watcher: Watcher | None) -> Asked:
    return Asked(prepare(path, options=options, watcher=watcher), options)


def _own_out(path: Path, options: RunOptions, *, alone: bool) -> Path | None:
    if options.out is None or alone:
        return options.out
    return options.out / name_among_several(path)


def name_among_several(path: Path) -> str:
    """The name of a scenario's run folder in the one for all of them."""
    place = path.resolve()
    return (place.parent if place.suffix == ".toml" else place).name


def run_many(
    runs: Sequence[Asked], *, engine: str = "local", address: str | None = None, watcher: Watcher | None = None
) -> list[Finished | Exception]:
    """Each run's verdict, or why there is none: one after the other, or (`engine` "ray") all at once on a cluster.

    Raises:
        UserError: there is no Ray, or no cluster answers at this address.
    """
    watcher = watcher or Silent()
    if engine == "ray":
        return run_on_cluster(runs, address=address, watcher=watcher)
    return [
        told(partial(run_prepared, one.ready, options=one.options, watcher=watcher)) for one in sharing_weights(runs)
    ]


def score(run_folder: Path) -> tuple[ArmScore, ...]:
    """Score a run's predictions anew and draw the verdict again.

    Raises:
        RunFolderError: the folder is no run, is damaged or unfinished, or its rule was changed.
    """
    folder = open_run(run_folder)
    finishing.finish(folder)
    return folder.scores()


def compare(run_folder: Path, *, metric: str | None = None) -> tuple[Comparison, ...]:
    """All pairs of arms on the rule's metric, or on another one (then it is a look, not the verdict)."""
    folder = open_run(run_folder)
    finishing.require_finished(folder)
    if metric is not None:
        metric_named(metric)
    return finishing.compared(folder, finishing.scored(folder)[0], metric=metric)


def report_data(run_folder: Path) -> ReportData:
    """Everything that a report says of a run, from its folder alone."""
    folder = open_run(run_folder)
    ended = finishing.ended(folder)
    arms = finishing.taking_part(folder)
    predictions = folder.predictions()
    return ReportData(
        scenario=folder.scenario(),
        rule=folder.rule().rule,
        cases=folder.cases(),
        verdict=ended.verdict,
        scores=ended.scores,
        case_scores=ended.case_scores,
        predictions=AllOf({arm: predictions[arm] for arm in arms if arm in predictions}),
        passages=folder.passages(),
        recipes=tuple(r for r in folder.recipes() if r.arm in arms),
        costs=finishing.costs(folder),
        provenance=folder.provenance(),
        findings=folder.findings(),
    )


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What a report is made of and looks like, beside the run itself."""

    formats: tuple[str, ...] = USUAL
    """Of `html`, `pdf`, `docx`, `pptx` and `md`."""
    advice: Path | None = None
    """The `advice.json` that was given before."""
    client: Path | None = None
    """A `client.toml`: names, logo, colour, prices."""
    templates: tuple[Path, ...] = ()
    """House templates, `.docx` and `.pptx`."""
    out: Path | None = None
    """Folder to write into; None: the first run's folder."""
    redact: bool = False
    """Personal data and secrets are masked."""


def report(*run_folders: Path, options: ReportOptions | None = None) -> tuple[Path, ...]:
    """Write the reports of a run, and of others beside it; no model is loaded.

    Raises:
        RunFolderError: a folder is no run, is damaged or unfinished.
        UserError: the advice, `client.toml` or a template cannot be used, or the folder cannot be written.
    """
    options = options or ReportOptions()
    client = read_client(options.client) if options.client else ClientFile()
    form = Form(options.formats, client.brand, templates_in(options.templates))
    advice = read_advice_file(options.advice) if options.advice else None
    first, *others = (report_data(folder) for folder in run_folders)
    data = replace(first, advice=advice, prices=client.prices, others=tuple(others))
    if advice is not None:
        data = replace(data, verdict=_against(data, advice))
    if options.redact:
        data = redacted(data)
    return write_reports(data, options.out or run_folders[0], form=form)


def _against(data: ReportData, advice: AdviceFile) -> Verdict:
    """The verdict with what it says of this advice, if it is older than the run and no other was on trial."""
    verdict, documents = data.verdict, data.scenario.documents > 0
    if verdict.advice.relation is not None or advice.created > data.provenance.started:
        return verdict
    stated = StatedAdvice(advice.created[:10], advice.approach, hypothesis=advice.hypothesis)
    relation = relation_of(verdict, stated, rule=data.rule, costs=data.costs, documents=documents)
    if verdict.exploratory:
        relation = replace(relation, relation="undecided", reasons=(EXPLORED,))
    return replace(verdict, advice=relation)


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Where runs go."""

    to: str
    """`parquet`, `csv` or `mlflow`."""
    out: Path | None = None
    """Folder to write into; None: `exports`, or the current folder for MLflow."""
    uri: str | None = None
    """MLflow's tracking store; None: a file under `out`."""
    redact: bool = False
    """Personal data and secrets are masked."""


def export(*run_folders: Path, options: ExportOptions) -> tuple[str, ...]:
    """Write finished runs for other programs; a sentence for each file or run. No model is loaded.

    Raises:
        RunFolderError: a folder is no run, is damaged or unfinished.
        UserError: an option makes no sense, or something cannot be written.
    """
    from harness.export.mlflow import without_login
    from harness.export.write import FORMATS, track, write_files

    if options.to not in FORMATS:
        raise UserError(f"Runs are exported to {', '.join(FORMATS)}; got {options.to!r}.")
    if options.uri is not None and options.to != "mlflow":
        raise UserError(f"--uri names an MLflow store and is for --to mlflow; got --to {options.to}.")
    runs = [report_data(one) for one in run_folders]
    runs = all_redacted(runs) if options.redact else runs
    if options.to != "mlflow":
        return tuple(f"Wrote {path}" for path in write_files(runs, options.out or Path("exports"), to=options.to))
    place = options.out or Path()
    where = without_login(options.uri or str(place / "mlflow.db"))
    made = [
        track(data, folder, uri=options.uri, out=place, redact=options.redact)
        for data, folder in zip(runs, run_folders, strict=True)
    ]
    return tuple(
        f"{folder}: {'run' if one.new else 'was there already as run'} {one.run_id} in {where}"
        for folder, one in zip(run_folders, made, strict=True)
    )


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of `history`."""

    path: Path | RemoteUrl
    name: str
    created: str
    verdict: Verdict | None
    """None where the run is not finished."""


def history(runs_folder: Path | RemoteUrl = Path("runs")) -> tuple[RunSummary, ...]:
    """The runs under a folder, newest first; of one on other storage only what this needs is brought here.

    Raises:
        RemoteError: the storage cannot be reached or listed.
    """
    if isinstance(runs_folder, RemoteUrl):
        with brought(runs_folder, ("run.json", "verdict.json")) as here:
            return tuple(replace(one, path=runs_folder.child(one.path.name)) for one in history(here))
    found = []
    for file in runs_folder.glob("*/run.json"):
        folder = RunFolder(file.parent)
        with contextlib.suppress(RunFolderError):  # a damaged run is named by the commands that open it
            key = folder.key()
            verdict = folder.verdict() if folder.has("verdict.json") else None
            found.append(RunSummary(file.parent, key.name, key.created, verdict))
    return tuple(sorted(found, key=lambda summary: (summary.created, str(summary.path)), reverse=True))
