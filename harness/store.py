"""The run folder: written as the run goes, read by everything after it.

    run.json           what this run is (its key); written first, never changed
    scenario.json cases.jsonl rule.json provenance.json plan.json advice.json (where something was advised)
    recipes/ARM.json   adapters/ARM/   passages.jsonl
    predictions.jsonl  one line a case and arm, appended and flushed batch by batch
    measurements.jsonl latency.jsonl usage.jsonl left_out.json
    requests.jsonl     what was paid for at an endpoint, appended answer by answer
    batches.jsonl      batches there, appended stage by stage
    experiments/NAME/VARIANT/   the same files again, for one arm under one condition; findings.json: what they came to
    scores.json verdict.json report.md report.html
    whole.json         what belonged to the folder when its verdict was drawn

Whole files are written beside their place and renamed; appended files may end in a torn line after a crash, which is
cut off when the folder is opened for writing. Every JSON object and every line carries a checksum (`seals.py`), and
`whole.json` says which files and how many appended lines there were: damage is named, never read over.
"""

from __future__ import annotations

import contextlib
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import filelock
import msgspec

from harness.disk import append, cut_torn_line, write_whole
from harness.errors import RunFolderError
from harness.lines import LARGE, ByName, Lines
from harness.records import (
    SCHEMA_VERSION,
    AdviceRelation,
    ArmScore,
    Comparison,
    Finding,
    LatencySample,
    LeftOut,
    Measurement,
    OtherVerdict,
    Passage,
    Prediction,
    Provenance,
    Recipe,
    SeedSpread,
    Standing,
    Stopped,
    StoredScenario,
    Usage,
    Verdict,
    VerdictKind,
)
from harness.scenario import Case, DecisionRule, StatedAdvice
from harness.seals import fits, sealed

T = TypeVar("T")

APPENDED = ("predictions.jsonl", "passages.jsonl", "usage.jsonl", "judged.jsonl", "requests.jsonl", "batches.jsonl")
"""Files of lines that may end in a torn one; the others are written whole."""
WHOLE = "whole.json"
DERIVED = (WHOLE, "scores.json", "findings.json", "verdict.json")
"""Made anew from the rest whenever the folder is read."""
KEPT = ("*", "recipes/*", "experiments/*/*", "experiments/*/*/*", "experiments/*/*/recipes/*")
"""Where records lie; what an adapter's or a model's folder holds has a digest of its own."""


@dataclass(frozen=True, slots=True)
class StoredRule:
    """The decision rule with the digest that was fixed before the first prediction."""

    rule: DecisionRule
    digest: str


@dataclass(frozen=True, slots=True)
class RunKey:
    """What a run is: the same key means that the same predictions would be made."""

    key: str
    parts: dict[str, str]
    """Digest or value of each part, so that a difference can be named."""
    name: str
    created: str
    place: str = ""
    """The scenario's folder."""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """The format that a run folder was written in; the rest of its record may be of another shape."""

    schema_version: int | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """What a file was when the verdict was drawn."""

    lines: int = 0
    """Of an appended file."""
    checksum: str = ""
    """Of a file that is no JSON object and so has none of its own."""


@dataclass(frozen=True, slots=True)
class WholeFolder:
    """`whole.json`."""

    files: dict[str, Mark]


@dataclass(frozen=True, slots=True)
class ScoreEntry:
    """An arm's score in `verdict.json`."""

    value: float
    low: float
    high: float
    n: int
    failed: int


@dataclass(frozen=True, slots=True)
class VerdictFile:
    """`verdict.json`: the verdict as others script against it, its scores by arm, best first."""

    schema_version: int
    kind: VerdictKind
    arm: str | None
    tied: tuple[str, ...]
    metric: str
    margin: float
    alpha: float
    scores: dict[str, ScoreEntry]
    comparisons: tuple[Comparison, ...]
    left_out: tuple[LeftOut, ...]
    rule_digest: str
    advice: AdviceRelation
    sentences: tuple[str, ...]
    cases_needed: int | None
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    exploratory: tuple[str, ...] = ()
    stopped: tuple[Stopped, ...] = ()
    seeds: tuple[SeedSpread, ...] = ()
    axes: tuple[Comparison, ...] = ()
    under_other_metrics: tuple[OtherVerdict, ...] = ()
    standing: Standing | None = None

    @classmethod
    def of(cls, verdict: Verdict) -> VerdictFile:
        """The public form of a verdict."""
        fields = {field: getattr(verdict, field) for field in cls.__dataclass_fields__ if field != "scores"}
        scores = {s.arm: ScoreEntry(s.value, s.low, s.high, s.n, s.failed) for s in verdict.scores}
        return cls(scores=scores, **fields)

    def record(self) -> Verdict:
        """The verdict behind it."""
        fields = {field: getattr(self, field) for field in self.__dataclass_fields__ if field != "scores"}
        scores = tuple(
            ArmScore(arm, self.metric, s.value, s.low, s.high, s.n, s.failed) for arm, s in self.scores.items()
        )
        return Verdict(scores=scores, **fields)


ELSEWHERE: dict[Path, Callable[[], None]] = {}
"""Run folder that is a working copy -> what uploads it now; filled by `remote`."""

HELD: dict[Path, Callable[[], None]] = {}
"""Run folder that is a working copy -> what raises RunStopped where another may be writing to it elsewhere."""

MIXED_UP = ", or of another run: its checksum does not fit"


class RunFolder:
    """A run folder, for reading and writing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key = ""

    # whole records

    def write(self, name: str, record: object) -> None:
        """Write a record as indented JSON, all or nothing."""
        data = msgspec.json.format(msgspec.json.encode(record), indent=1)
        with self._changing(name):
            write_whole(self.path / name, sealed(data, self._place(name)) + b"\n", private=True)

    def read(self, name: str, kind: type[T]) -> T:
        """Read a record.

        Raises:
            RunFolderError: it is missing or damaged.
        """
        found = self._unchecked(name, kind)
        self._require_its_checksum(name)
        return found

    def _require_its_checksum(self, name: str) -> None:
        if fits(self._ordinary(name).read_bytes(), self._place(name)) is False:
            raise RunFolderError(f"{self.path / name} is damaged{MIXED_UP}. {self._what_to_do(name)}")

    def _unchecked(self, name: str, kind: type[T]) -> T:
        path = self._ordinary(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError as error:
            raise RunFolderError(
                f"{self.path} is not a finished run: {name} is missing. Run `bakeoff run` with --out {self.path} to "
                "complete it, or name another folder (`bakeoff history` lists them)."
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RunFolderError(f"{path} is damaged: {error}. {self._what_to_do(name)}") from error

    def _ordinary(self, name: str) -> Path:
        """The file's path; a pipe or a device could keep us waiting for ever, or never end."""
        path = self.path / name
        if path.exists() and not path.is_file():
            raise RunFolderError(f"{path} is no ordinary file. {self._what_to_do(name)}")
        return path

    def has(self, name: str) -> bool:
        """Whether this file is there."""
        return (self.path / name).exists()

    def scenario(self) -> StoredScenario:
        """The scenario as it was run."""
        return self.read("scenario.json", StoredScenario)

    def rule(self) -> StoredRule:
        """The rule, checked against its digest.

        Raises:
            RunFolderError: the rule was changed after it had been fixed.
        """
        stored = self._unchecked("rule.json", StoredRule)
        if stored.rule.digest != stored.digest:
            raise RunFolderError(
                f"The decision rule in {self.path / 'rule.json'} was changed after the run had begun: it was fixed as "
                f"{stored.digest[:12]}…, now it is {stored.rule.digest[:12]}…. Put it back, or start another run."
            )
        self._require_its_checksum("rule.json")
        return stored

    def advice(self) -> StatedAdvice | None:
        """What was advised before the run, checked against the run's key; None where nothing was advised then.

        Raises:
            RunFolderError: the advice was changed after it had been fixed.
        """
        fixed = self.key().parts.get("advice") if self.has("run.json") else None
        if fixed is None:
            return None
        stated = self._unchecked("advice.json", StatedAdvice)
        if stated.digest != fixed:
            raise RunFolderError(
                f"The advice in {self.path / 'advice.json'} was changed after the run had begun: it was fixed as "
                f"{fixed[:12]}…, now it is {stated.digest[:12]}…. Put it back, or start another run."
            )
        self._require_its_checksum("advice.json")
        return stated

    def key(self) -> RunKey:
        """What this run is."""
        return self.read("run.json", RunKey)

    def provenance(self) -> Provenance:
        """Where and with what it was made."""
        return self.read("provenance.json", Provenance)

    def left_out(self) -> tuple[LeftOut, ...]:
        """Arms that did not take part."""
        return self.read("left_out.json", tuple[LeftOut, ...]) if self.has("left_out.json") else ()

    def recipes(self) -> tuple[Recipe, ...]:
        """What each arm settled."""
        files = sorted((self.path / "recipes").glob("*.json"))
        return tuple(self.read(f"recipes/{file.name}", Recipe) for file in files)

    def recipe(self, arm: str) -> Recipe | None:
        """What this arm settled, or None where it has not yet."""
        return self.read(f"recipes/{arm}.json", Recipe) if self.has(f"recipes/{arm}.json") else None

    def scores(self) -> tuple[ArmScore, ...]:
        """All scores of all arms."""
        return self.read("scores.json", tuple[ArmScore, ...])

    def write_verdict(self, verdict: Verdict) -> None:
        """Write `verdict.json` in its public form, and what the folder held then."""
        self.write("verdict.json", VerdictFile.of(verdict))
        names = [path.relative_to(self.path).as_posix() for path in self._kept()]
        self.write(WHOLE, WholeFolder({name: self._mark(name) for name in names}))

    def verdict(self) -> Verdict:
        """The verdict."""
        return self.read("verdict.json", VerdictFile).record()

    # lines

    def cases(self) -> Sequence[Case]:
        """The eval cases; where they are many, a sequence that reads them when they are asked for."""
        if not self.has("cases.jsonl"):
            self.read("cases.jsonl", Case)  # raises the sentence for a missing file
        if not self._large("cases.jsonl"):
            return tuple(self._lines("cases.jsonl", Case))
        found = Lines(self.path / "cases.jsonl", Case)
        for start, line, _ in self._decoded("cases.jsonl", Case):
            found.add(start, len(line))
        return found

    def predictions(self) -> dict[str, Mapping[str, Prediction]]:
        """Arm -> case id -> prediction: the first that is no error, else the first; arms in the scenario's order.

        Where they are many, they are read when they are asked for.
        """
        found: Mapping[str, Mapping[str, Prediction]]
        found = self._found_predictions() if self._large("predictions.jsonl") else self._held_predictions()
        order = self.scenario().arms if self.has("scenario.json") else ()
        return {arm: found[arm] for arm in dict.fromkeys((*order, *found)) if arm in found}

    def _held_predictions(self) -> dict[str, dict[str, Prediction]]:
        found: dict[str, dict[str, Prediction]] = {}
        for prediction in self._lines("predictions.jsonl", Prediction):
            kept = found.setdefault(prediction.arm, {}).setdefault(prediction.case_id, prediction)
            if kept.error and not prediction.error:  # made again with --retry-errors
                found[prediction.arm][prediction.case_id] = prediction
        return found

    def _found_predictions(self) -> dict[str, ByName[Prediction]]:
        lines, numbers = Lines(self.path / "predictions.jsonl", Prediction), dict[str, int]()
        found: dict[str, ByName[Prediction]] = {}
        failed: set[tuple[str, int]] = set()
        for start, line, made in self._decoded("predictions.jsonl", Prediction):
            number = numbers.setdefault(made.case_id, len(numbers))
            own = found.setdefault(made.arm, ByName(lines, numbers))
            if made.case_id not in own or (not made.error and (made.arm, number) in failed):
                own.put(number, lines.add(start, len(line)))
                (failed.add if made.error else failed.discard)((made.arm, number))
        return found

    def passages(self) -> Mapping[str, Passage]:
        """Retrieved passages by id; where they are many, they are read when they are asked for."""
        if not self._large("passages.jsonl"):
            return {p.id: p for p in self._lines("passages.jsonl", Passage)}
        lines, numbers = Lines(self.path / "passages.jsonl", Passage), dict[str, int]()
        found = ByName(lines, numbers)
        for start, line, passage in self._decoded("passages.jsonl", Passage):
            found.put(numbers.setdefault(passage.id, len(numbers)), lines.add(start, len(line)))
        return found

    def measurements(self) -> Iterator[Measurement]:
        """Per-case values that needed a model, one by one."""
        return self._lines("measurements.jsonl", Measurement)

    def latency(self) -> tuple[LatencySample, ...]:
        """Requests timed one by one."""
        return tuple(self._lines("latency.jsonl", LatencySample))

    def usage(self) -> tuple[Usage, ...]:
        """What each stage of each arm took."""
        return tuple(self._lines("usage.jsonl", Usage))

    def stopped(self) -> tuple[Stopped, ...] | None:
        """Arms that were stopped early; None where no arm could have been."""
        return self.read("stopped.json", tuple[Stopped, ...]) if self.has("stopped.json") else None

    def findings(self) -> tuple[Finding, ...]:
        """What the experiments found."""
        return self.read("findings.json", tuple[Finding, ...]) if self.has("findings.json") else ()

    def append(self, name: str, records: Sequence[object]) -> None:
        """Append records in one write, and have them on disk before returning."""
        if not records:
            return
        place = self._place(name)
        data = b"".join(sealed(msgspec.json.encode(record), place) + b"\n" for record in records)
        with self._changing(name):
            append(self._ordinary(name), data)

    def write_lines(self, name: str, records: Iterable[object]) -> None:
        """Write a file of lines, all or nothing; each line is sealed with its number of how many."""
        place, count = self._place(name), 0
        with _writing(self.path / name), tempfile.SpooledTemporaryFile(LARGE, dir=str(self.path)) as rows:
            for count, record in enumerate(records, start=1):  # noqa: B007 - how many there are is known afterwards
                rows.write(msgspec.json.encode(record) + b"\n")
            rows.seek(0)
            lines = (sealed(row[:-1], place, line=f"{n}/{count}") + b"\n" for n, row in enumerate(rows, start=1))
            with self._changing(name):
                write_whole(self.path / name, lines, private=True)

    def lines(self, name: str, kind: type[T]) -> Iterator[T]:
        """All records of a file of lines, one by one; none where it is not there."""
        return self._lines(name, kind)

    def _large(self, name: str) -> bool:
        """Whether a file is too large for its records to be held."""
        path = self.path / name
        return path.exists() and path.stat().st_size > LARGE

    def _lines(self, name: str, kind: type[T]) -> Iterator[T]:
        return (record for _, _, record in self._decoded(name, kind))

    def _decoded(self, name: str, kind: type[T]) -> Iterator[tuple[int, bytes, T]]:
        """Byte that a line starts at, the line, its record."""
        path, start = self._ordinary(name), 0
        if not path.exists():
            return
        decoder = msgspec.json.Decoder(kind)
        for number, line in self._whole_lines(name):
            try:
                record = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise self._damaged_line(name, number, f": {error}") from error
            yield start, line, record
            start += len(line)

    def _whole_lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        """Lines with their numbers, each checked; one that a crash tore off at the end is passed over.

        Once a line has a checksum, all after it have one: only an older bakeoff wrote lines without.
        """
        place, path, checked, count = self._place(name), self._ordinary(name), False, 0
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.endswith(b"\n"):  # the batch in flight
                    return
                right = fits(line, place)
                if right is False:
                    count = count or _lines_in(path)
                    right = fits(line, place, line=f"{number}/{count}")
                if right is False or (right is None and checked and line.startswith(b"{")):
                    raise self._damaged_line(name, number, MIXED_UP)
                checked = checked or right is True
                yield number, line

    def _damaged_line(self, name: str, number: int, why: str) -> RunFolderError:
        what = "that line" if name in APPENDED else "it"
        return RunFolderError(f"{self.path / name}:{number} is damaged{why}. {self._what_to_do(name, what)}")

    def _what_to_do(self, name: str, what: str = "it") -> str:
        if name == "run.json":
            return "Restore it, or start the run afresh in another folder."
        drawn = self._root() / "verdict.json"
        drawn_too = f", delete {drawn} too" if drawn.exists() and what != "that line" else ""
        it = "the file" if what == "that line" else "it"
        return f"Restore {it} or delete {what}{drawn_too}, then run the same command: what is missing is made again."

    # the folder as a whole

    def check(self) -> None:
        """Look at every record's checksum, whether or not it would be read.

        Raises:
            RunFolderError: one is damaged, missing or of another run, or the rule or the advice was changed.
        """
        if self.has("rule.json"):
            self.rule()
        if self.has("run.json"):
            self.advice()
        for path in self._kept():
            name = path.relative_to(self.path).as_posix()
            if path.suffix == ".json":
                self.read(name, object)
            else:
                for _ in self._whole_lines(name):
                    pass
        self._require_all()

    def _require_all(self) -> None:
        """Whether everything is there that was there when the verdict was drawn.

        Raises:
            RunFolderError: a file is missing, shorter, or not what it was.
        """
        if not self.has(WHOLE) or not self.has("verdict.json"):
            return
        for name, mark in self.read(WHOLE, WholeFolder).files.items():
            path = self.path / name
            now = self._mark(name) if path.exists() else None
            why = (
                "is missing; it was there when the verdict was drawn"
                if now is None
                else f"is damaged: it has {now.lines:,} lines and had {mark.lines:,} when the verdict was drawn"
                if now.lines < mark.lines
                else "is damaged: it is not what it was when the verdict was drawn"
                if now.checksum != mark.checksum
                else ""
            )
            if why:
                raise RunFolderError(
                    f"{path} {why}. Restore it; or delete {self.path / 'verdict.json'} and run the same command, which "
                    "makes again what it can."
                )

    def _mark(self, name: str) -> Mark:
        if name == "predictions.jsonl":  # answers that are missing are counted by the run itself, which makes them
            return Mark()
        if name.endswith(".jsonl"):
            return Mark(lines=_lines_in(self._ordinary(name)))
        data = self._ordinary(name).read_bytes()
        return Mark() if data.startswith(b"{") else Mark(checksum=f"{zlib.crc32(data):08x}")

    def _kept(self) -> list[Path]:
        """Files of records that are not made anew on reading."""
        found = [path for pattern in KEPT for path in self.path.glob(pattern) if path.suffix in (".json", ".jsonl")]
        return sorted(path for path in found if path.name not in DERIVED and not path.name.startswith("."))

    def _root(self) -> Path:
        """The run's folder: this one, or the one that this experiment's or variant's folder is in."""
        if not self.has("run.json"):
            for folder in self.path.parents[1:3]:
                if (folder / "run.json").exists():
                    return folder
        return self.path

    def _place(self, name: str) -> str:
        """Run and file, as they go into checksums; `run.json` says which run it is, so its own has the name only."""
        if name == "run.json":
            return name
        root = self._root()
        if not self._key and (root / "run.json").exists():
            self._key = RunFolder(root).key().key
        return f"{self._key} {(self.path / name).relative_to(root).as_posix()}"

    @contextlib.contextmanager
    def _changing(self, name: str) -> Iterator[None]:
        """What is written now is no longer the folder that the verdict was drawn from."""
        with _writing(self.path / name):
            if name not in DERIVED:
                (self._root() / WHOLE).unlink(missing_ok=True)
            yield

    def publish(self) -> None:
        """Have what was written so far lie wherever this folder is kept besides, before anything is begun that costs
        money or cannot be taken back; nothing happens where it is kept here only."""
        self._call(ELSEWHERE)

    def require_held(self) -> None:
        """Stop where another may be writing to this folder elsewhere: both would pay for the same answers.

        Raises:
            RunStopped: another may.
        """
        self._call(HELD)

    def _call(self, known: Mapping[Path, Callable[[], None]]) -> None:
        if not known:
            return
        real = self.path.resolve()
        for place in (self.path, *self.path.parents, real, *real.parents):
            if place in known:
                known[place]()
                return

    def mend(self) -> None:
        """Cut torn last lines off the appended files."""
        for name in APPENDED:
            with _writing(self.path / name):
                cut_torn_line(self._ordinary(name))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for writing; the lock goes with the process, however it ends.

        Raises:
            RunFolderError: another process holds it, it cannot be written, or something is missing from it.
        """
        lock = filelock.FileLock(self.path / ".lock")
        try:
            held = lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise RunFolderError(
                f"Another bakeoff is writing to {self.path}. Wait for it, or name another folder with --out."
            ) from error
        except OSError as error:
            raise _unwritable(self.path, error) from error
        with held:
            if self.has("run.json"):
                self.check()
            elif self.has("rule.json") and self.has("predictions.jsonl"):
                raise RunFolderError(
                    f"{self.path / 'run.json'} is missing, so nobody can say which run this is. Restore it, or name "
                    "another folder with --out."
                )
            yield


def open_run(path: Path) -> RunFolder:
    """A run folder to read.

    Raises:
        RunFolderError: there is no run, or something in it is damaged or missing.
    """
    folder = RunFolder(path)
    if not path.is_dir() or not folder.has("run.json"):
        raise RunFolderError(
            f"{path} is not a run folder (expected a folder with run.json, as `bakeoff run` makes them). "
            "`bakeoff history` lists the runs."
        )
    version = folder.read("run.json", SchemaVersion).schema_version
    if version != SCHEMA_VERSION:
        raise RunFolderError(
            f"{path} was written in format {version}; this bakeoff reads format {SCHEMA_VERSION}. Use the version of "
            "bakeoff that made it."
        )
    folder.check()
    return folder


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say in a sentence that something cannot be written."""
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> RunFolderError:
    return RunFolderError(
        f"{path} cannot be written ({error.strerror or error}). Make room or allow it, then run the same command: it "
        "goes on where it was."
    )


def _lines_in(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(line.endswith(b"\n") for line in stream)
