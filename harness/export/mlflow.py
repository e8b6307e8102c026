"""A run into an MLflow tracking store: the bake-off as one run, each arm as a run below it."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import MissingModel, UserError
from harness.report.data import ReportData
from harness.report.prices import priced

EXPERIMENT = "bakeoff"
KEY = "bakeoff.run"
"""Tag that names the run: the digest under which it is found again."""
BEGUN = "bakeoff.begun"
"""The same on a run that may not be whole: what an export that broke off left is deleted by the next."""
LONGEST = 480
"""Characters of a parameter or tag; stores refuse longer ones."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of one run."""

    run_id: str
    """MLflow's id of the parent run."""
    new: bool
    """False: it was there already; nothing was written."""


def export_run(data: ReportData, files: Sequence[Path], *, uri: str, artifacts: str | None, key: str) -> Exported:
    """Write one run; the same run (`key`) is written once, however often it is exported.

    Args:
        files: verdict and reports, which become artefacts.
        uri: the tracking store, such as `sqlite:///mlflow.db` or a server's address.
        artifacts: where artefacts go; None: where the store puts them.
        key: digest of the run.

    Raises:
        MissingModel: `mlflow-skinny` is not installed.
        UserError: the store cannot be reached or written.
    """
    with _client(uri) as client:
        experiment = _experiment(client, artifacts)
        known = client.search_runs([experiment], filter_string=f"tags.`{KEY}` = '{key}'", max_results=1)
        if known:
            return Exported(known[0].info.run_id, new=False)
        for broken in client.search_runs([experiment], filter_string=f"tags.`{BEGUN}` = '{key}'"):
            client.delete_run(broken.info.run_id)
        parent = client.create_run(
            experiment, run_name=data.scenario.name, tags={**_tags(data), BEGUN: key}
        ).info.run_id
        for name, value in _params(data):
            client.log_param(parent, name, _short(value))
        for arm in data.arms:
            tags = {"mlflow.parentRunId": parent, "bakeoff.arm": arm, BEGUN: key}
            child = client.create_run(experiment, run_name=arm, tags=tags).info.run_id
            for name, metric in _metrics(data, arm):
                client.log_metric(child, name, metric)
                if arm == data.verdict.arm:
                    client.log_metric(parent, name, metric)
            client.set_terminated(child)
        for path in files:
            client.log_artifact(parent, str(path))
        client.set_tag(parent, KEY, key)  # last: a run that was cut off is not taken for a whole one
        client.set_terminated(parent)
        return Exported(parent, new=True)


@contextmanager
def _client(uri: str) -> Iterator[Any]:
    """The client, without MLflow's own telemetry; what it raises becomes a sentence."""
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries below MLflow
        try:
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise MissingModel(
                "Runs are exported to MLflow by the package mlflow-skinny: pip install 'bakeoff-advisor[mlflow]'."
            ) from error
        try:
            yield MlflowClient(tracking_uri=uri)
        except MlflowException as error:
            said = next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
            raise UserError(
                without_login(f"MLflow could not write to {uri}: {said} Name a store with --uri.")
            ) from error


def without_login(text: str) -> str:
    """The text without user and password of an address."""
    return re.sub(r"(?<=://)[^/\s@]+@", "", text)


def _experiment(client: Any, artifacts: str | None) -> str:
    known = client.get_experiment_by_name(EXPERIMENT)
    found: str = known.experiment_id if known else client.create_experiment(EXPERIMENT, artifact_location=artifacts)
    return found


def _tags(data: ReportData) -> dict[str, str]:
    verdict = data.verdict
    tags = {
        "bakeoff.verdict": verdict.kind.value,
        "bakeoff.arm": verdict.arm or "",
        "bakeoff.advice": verdict.advice.relation or "",
        "bakeoff.exploratory": str(bool(verdict.exploratory)).lower(),
        "bakeoff.quick": str(data.scenario.quick).lower(),
        "bakeoff.started": data.provenance.started,
    }
    return {name: _short(value) for name, value in tags.items() if value}


def _params(data: ReportData) -> Iterator[tuple[str, str]]:
    rule = data.rule
    yield "metric", rule.metric
    yield "margin", f"{rule.margin:g}"
    yield "alpha", f"{rule.alpha:g}"
    yield "fewest_cases", str(rule.fewest_cases)
    yield "rule_digest", rule.digest
    yield "cases", str(len(data.cases))
    yield "model", data.provenance.model
    yield "seed", str(data.scenario.seed)
    yield "seeds", str(data.scenario.seeds)
    for name, version in data.provenance.versions.items():
        yield f"version.{name}", version


def _metrics(data: ReportData, arm: str) -> Iterator[tuple[str, float]]:
    """Every score with its interval on the deciding metric, and what a request takes."""
    for metric in data.metrics:
        score = data.score_of.get((arm, metric))
        if score is not None:
            yield metric, score.value
            if metric == data.verdict.metric:
                yield f"{metric}.low", score.low
                yield f"{metric}.high", score.high
                yield "failed", float(score.failed)
    cost = data.cost_of.get(arm)
    if cost is not None:
        yield "tokens_in", cost.tokens_in
        yield "tokens_out", cost.tokens_out
        yield "train_seconds", cost.train_seconds
        yield from ((f"latency_{p}", s) for p, s in (("p50", cost.latency_p50), ("p95", cost.latency_p95)) if s)
    prices = priced(data)
    if prices is not None and arm in prices.arms:
        yield f"cost_per_1000_{prices.currency}", 1000 * prices.arms[arm].request


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
