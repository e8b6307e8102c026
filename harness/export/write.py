"""Runs to where others read them: tables as files, or a tracking store."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.export import mlflow
from harness.export.files import write_csv, write_parquet
from harness.export.tables import flat_tables
from harness.report.data import ReportData
from harness.report.write import Form, write_reports

FORMATS = ("parquet", "csv", "mlflow")
ARTIFACTS = Form(("md", "html"))


def write_files(runs: Sequence[ReportData], out: Path, *, to: str) -> tuple[Path, ...]:
    """One file a table into `out`; `to` is `parquet` or `csv`.

    Raises:
        UserError: a file cannot be written.
    """
    write = {"parquet": write_parquet, "csv": write_csv}[to]
    made = []
    for table in flat_tables(runs):
        path = out / f"{table.name}.{to}"
        try:
            write(table, path)
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror}); name another folder with --out.") from None
        made.append(path)
    return tuple(made)


def track(data: ReportData, folder: Path, *, uri: str | None, out: Path, redact: bool) -> mlflow.Exported:
    """One run into MLflow; without `uri` into a store of files under `out`.

    Its verdict and reports are made anew from `data`, so that what is masked there is masked in them.

    Raises:
        UserError: see `mlflow.export_run`.
    """
    place = out.resolve()
    made_of = (folder / "run.json").read_bytes() + (folder / "verdict.json").read_bytes()
    key = hashlib.sha256(made_of + (b"masked" if redact else b"")).hexdigest()
    if uri is None:
        place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        verdict = Path(work) / "verdict.json"
        verdict.write_bytes(msgspec.json.format(msgspec.json.encode(data.verdict), indent=1))
        files = [*write_reports(data, Path(work), form=ARTIFACTS), verdict]
        return mlflow.export_run(
            data,
            files,
            uri=uri or f"sqlite:///{place / 'mlflow.db'}",
            artifacts=None if uri else (place / "mlflow-files").as_uri(),
            key=key,
        )
