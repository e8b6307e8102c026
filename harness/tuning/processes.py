"""Tuning by several processes of this machine, each of which holds a share of the model (`tuning/sharded.py`).

The rows go to them as a file in the adapter's folder, and so does what comes of it. This process waits: a worker that
ends takes the others with it, and all end with this one, whatever ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import msgspec

from harness.apart import import_places
from harness.errors import ArmFailed
from harness.generation import attention
from harness.generation.lean import forget
from harness.models.base import ModelDescription
from harness.models.device import Machine
from harness.models.local import LoadedModel, in_four_bits
from harness.tuning.examples import RowSet, TrainingText
from harness.tuning.lora import Progress, TuningResult, TuningSettings, encode_sets

FOLDER = ".processes"
"""Beside an adapter while it is trained."""

JOB, DONE, PROGRESS = "job.json", "done.json", "progress.jsonl"

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from harness.tuning import sharded; "
    "sharded.work(sys.argv[2], rank=int(sys.argv[3]), meeting=sys.argv[4])"
)

GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": str(2**20)}
"""glibc: larger pieces go back to the system when they are freed. Else layers that are gathered and given back leave
holes between activations: on two processors the bundled model's workers grew to 1,228 MiB in three steps, not 769."""

LOOK_EVERY = 0.1
"""Seconds between looks at the workers."""


@dataclass(frozen=True, slots=True)
class Job:
    """All that a worker needs to know."""

    model: str
    """Folder of the weights."""
    machine: Machine
    description: ModelDescription
    settings: TuningSettings
    train: RowSet
    held: RowSet | None
    out: str
    key: str
    flat: bool
    """Whether many examples go through the model in one flat row (`generation/attention.py`)."""


@dataclass(frozen=True, slots=True)
class Done:
    """A `TuningResult` without its folder."""

    digest: str
    learning_rate: float
    epochs: int
    dev_losses: tuple[float, ...]
    trials: tuple[tuple[float, float], ...]
    tokens: int
    seconds: float
    notes: tuple[str, ...]
    checkpoint_seconds: float


def tune_together(
    loaded: LoadedModel,
    examples: Sequence[TrainingText],
    *,
    dev: Sequence[TrainingText],
    settings: TuningSettings,
    out: Path,
    progress: Progress = lambda what, share: None,
    key: str = "",
) -> TuningResult:
    """`tune`, or `tune_all_weights`, by `settings.processes` processes; the model here is read only.

    Raises:
        ArmFailed: a process ended too early (the message has its last word), or the weights are in four bits.
    """
    if in_four_bits(loaded.network):
        raise ArmFailed("weights that are held in four bits are tuned by one process; take bits = 4 or processes out")
    folder = out / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        (folder / JOB).write_bytes(
            msgspec.json.encode(_job(loaded, examples, dev, settings=settings, out=out, key=key))
        )
        with _set_aside(loaded.network):
            _run(folder, settings.processes, machine=loaded.machine, progress=progress)
        done = msgspec.json.decode((folder / DONE).read_bytes(), type=Done)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return TuningResult(folder=out, **{name: getattr(done, name) for name in Done.__dataclass_fields__})


def result_as_json(result: TuningResult) -> bytes:
    """What the first worker leaves for `tune_together`."""
    kept = {name: value for name, value in asdict(result).items() if name != "folder"}
    return msgspec.json.encode(Done(**kept))


def _job(
    loaded: LoadedModel,
    examples: Sequence[TrainingText],
    dev: Sequence[TrainingText],
    *,
    settings: TuningSettings,
    out: Path,
    key: str,
) -> Job:
    if loaded.folder is None:
        raise ArmFailed("where the model's files lie is not known, so no further process can read them")
    flat = attention.ready(loaded.network)
    train, held = encode_sets(loaded, examples, dev)
    if not flat:  # keys and values of a shared prefix would come from a pass whose weights were given back
        train, held = _whole(train), _whole(held) if held else None
    threads = max(1, loaded.machine.threads // settings.processes)
    here = replace(loaded.machine, threads=threads)
    place = str(out.absolute())
    return Job(str(loaded.folder), here, loaded.description, settings, train, held, place, key, flat)


def _whole(rows: RowSet) -> RowSet:
    return RowSet((), tuple(row._replace(prompt=(*rows.prefix, *row.prompt)) for row in rows.rows))


@contextmanager
def _set_aside(network: Any) -> Iterator[None]:
    """While this lasts, what the network has on GPUs lies in the machine's memory: the workers need the room."""
    moved = [(t, t.device) for t in (*network.parameters(), *network.buffers()) if t.device.type == "cuda"]
    if not moved:
        yield
        return
    import torch

    forget(network)
    for tensor, _ in moved:
        tensor.data = tensor.data.cpu()
    torch.cuda.empty_cache()
    try:
        yield
    finally:
        for tensor, device in moved:
            tensor.data = tensor.data.to(device)


def _run(folder: Path, count: int, *, machine: Machine, progress: Progress) -> None:
    (folder / PROGRESS).touch()
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as meeting, contextlib.ExitStack() as stack:
        workers: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, workers)
        for rank in range(count):
            log = stack.enter_context(_log(folder, rank).open("wb"))
            workers.append(_started(folder, rank, count, log=log, machine=machine, meeting=Path(meeting) / "store"))
        _watch(workers, folder, progress)


def _log(folder: Path, rank: int) -> Path:
    return folder / f"log-{rank}.txt"


def last_word(folder: Path, rank: int) -> Path:
    """Where a worker that fails says why."""
    return folder / f"failed-{rank}.txt"


def _started(
    folder: Path, rank: int, count: int, *, log: IO[bytes], machine: Machine, meeting: Path
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-B", "-c", _START, json.dumps(import_places()), str(folder), str(rank), str(meeting)]
    threads = str(max(1, machine.threads // count))
    # They talk to each other within this machine only.
    inside = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    environment = {**GIVE_BACK, **os.environ, **inside, "OMP_NUM_THREADS": threads}
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
    except OSError as error:
        raise ArmFailed(f"a process that tunes cannot be started ({error.strerror or error})") from None


def _watch(workers: Sequence[subprocess.Popen[bytes]], folder: Path, progress: Progress) -> None:
    with (folder / PROGRESS).open("rb") as lines:
        kept = b""
        while True:
            codes = [worker.poll() for worker in workers]
            kept += lines.read()
            *whole, kept = kept.split(b"\n")
            for line in whole:
                progress(*msgspec.json.decode(line, type=tuple[str, float]))
            if any(codes):
                raise ArmFailed(_why(codes, folder))
            if all(code == 0 for code in codes):
                return
            time.sleep(LOOK_EVERY)


def _why(codes: Sequence[int | None], folder: Path) -> str:
    """Of several that failed, a killed one comes first, then the one that said so first: others miss their partner."""
    failed = [(code > 0, _when(folder, rank), rank, code) for rank, code in enumerate(codes) if code]
    _, _, rank, code = min(failed)
    who = f"process {rank + 1} of {len(codes)} that tune together"
    if code == -signal.SIGKILL:
        return f"{who} was killed from outside, most likely because the machine had not enough memory"
    if code < 0:
        return f"{who} was ended by signal {-code} ({signal.Signals(-code).name})"
    return f"{who} failed: {_said(folder, rank) or f'it ended with code {code}'}"


def _when(folder: Path, rank: int) -> float:
    with contextlib.suppress(OSError):
        return last_word(folder, rank).stat().st_mtime_ns
    return float("inf")


def _said(folder: Path, rank: int) -> str:
    for file in (last_word(folder, rank), _log(folder, rank)):
        with contextlib.suppress(OSError):
            lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
            found = [line.strip() for line in lines if line.strip()]
            if found:
                return found[-1][:400]
    return ""


def _end(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.kill()
    for worker in workers:
        worker.wait()
        if worker.stdin:
            worker.stdin.close()
