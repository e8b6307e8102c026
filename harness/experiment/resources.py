"""How much memory and disk a run will take, and whether there is enough: said before anything costs anything.

The constants are fitted to measured runs of a model of 135 million parameters on a processor
(`tests/experiment/test_resources.py` holds those figures); sizes that follow from the network grow with a power of its
weights below 1, because weights grow with the square of the width and activations with the width.
"""

from __future__ import annotations

import math
import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from harness.engines.local import Engine, LocalEngine
from harness.errors import UserError
from harness.experiment.probes.base import TUNED
from harness.experiment.probes.learning_curve import SHARES
from harness.experiment.probes.seeds import seeds_wanted
from harness.models.bundled import cache_folder
from harness.models.device import device_count, device_memory, machine
from harness.models.shape import Shape
from harness.publish import numbers
from harness.retrieval.index import MOST_EXACT
from harness.scenario import Case, Scenario
from harness.spool import Spooled
from harness.tuning.lora import MICRO_TOKENS
from harness.tuning.memory import USABLE, Parts, answering, lora, processes_for, weights

MEASURED_MB = 281.0
"""Weights of the model that the constants were fitted on."""

# Memory, MiB

LIBRARIES = 900
WEIGHTS_HELD = 1.57
"""Weights, and their copy in the matrix unit's layout as far as it is used."""
ANSWERING = 600
"""Activations and kept keys and values of a batch being answered."""
TUNING = 1_800
"""Activations and gradients of a training step of 1,000 tokens ..."""
TUNING_GROWS = 0.7
"""... which grow with this power of the step's tokens."""
STEP_ROWS, STEP_TOKENS = 16, 2_048
AGAIN, MOST_AGAIN = 0.03, 0.4
"""Share that each further training adds (memory comes back to the allocator in pieces), and the most that all add."""
FULL_WEIGHTS = 9.0
"""Full tuning: master weights, gradients and the optimiser's two moments, in float32."""
DOCUMENTS_IN_WEIGHTS = 1_000
EMBEDDER_TUNED = {True: 2_600, False: 1_300}
"""With documents to learn from, and with short training inputs only."""
TEXT_BYTES = 12.0
"""Bytes held a character of documents: read, cut, and the word index (tests/bench/streaming.py)."""
PASSAGE_BYTES = 384 * 4 + 500
"""Vector and record of one passage."""
PASSAGE_CHARACTERS = 600
LARGE_CORPUS, LARGE_PASSAGE = 300.0, 120.0
"""Of documents that are kept on disk: MiB that do not grow, and bytes a passage that do (tests/bench/streaming.py)."""
LARGE_DISK = 2 * PASSAGE_CHARACTERS + 384 * 3 + 1_000
"""Bytes a passage that these take in the cache: documents, passages, vectors, both indexes."""

# Disk, MiB

ADAPTER = 9.4
"""Of rank 16, for the measured model."""
EMBEDDER = 87.0
SLIGHT = 1.2
"""Reports and records of a run."""
EXPERIMENT = 0.5
ROW_BYTES = 450
"""Of a prediction with its measurements."""
PASSAGE_TOKENS = 200
KEPT_ADAPTERS = 30

CLEARLY = 0.5
"""Below this share of what is needed there is clearly too little disk."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a run takes, in MiB."""

    memory_mb: float
    """Largest memory of the process."""
    disk_mb: float
    """The run folder."""
    cache_mb: float
    """What is kept beside it for later runs: adapters and vectors."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is free, in MiB; None where the system does not say."""

    memory_mb: float
    disk_mb: float | None
    cache_mb: float | None
    shared: bool
    """The run folder and the cache lie on the same disk."""


def needs(
    scenario: Scenario, arms: Sequence[str], experiments: Sequence[str], *, quick: bool, weights_mb: float
) -> Needs:
    """What a run of these arms and experiments takes."""
    trainings = _trainings(scenario, arms, experiments, quick=quick)
    kept = sum(trainings.values())
    size = _size(weights_mb)
    adapter = ADAPTER * size * (scenario.tuning.rank or 16) / 16
    vectors = _passages(scenario) * (LARGE_DISK if _is_large(scenario) else 384 * 4) / 2**20
    disk = SLIGHT + kept * adapter + EXPERIMENT * len(experiments)
    disk += len(scenario.cases) * len(arms) * ROW_BYTES / 2**20
    disk += sum(len(case.input) + len(case.output) for case in scenario.cases) / 2**20
    disk += weights_mb if "full_tuning" in experiments else 0.0
    disk += EMBEDDER if "tuned_embedder" in experiments else 0.0
    return Needs(
        memory_mb=round(_memory(scenario, arms, experiments, trainings=trainings, weights_mb=weights_mb)),
        disk_mb=round(disk, 1),
        cache_mb=round(min(KEPT_ADAPTERS, kept) * adapter + vectors, 1),
    )


def _size(weights_mb: float) -> float:
    """How much larger than the measured model's what grows with the network's width is."""
    return float(max(0.1, weights_mb / MEASURED_MB) ** 0.6)


def _trainings(
    scenario: Scenario, arms: Sequence[str], experiments: Sequence[str], *, quick: bool
) -> Mapping[str, int]:
    """Adapters trained: by the arms, and by each experiment that trains."""
    tuned = sum(arm in TUNED for arm in arms)
    each = {
        "learning_curve": len(SHARES) * tuned,
        "facts_change": tuned,
        "documents_in_weights": 1,
    }
    further = {name: count for name, count in each.items() if name in experiments}
    return {"arms": tuned, "seeds": (seeds_wanted(scenario, quick=quick) - 1) * tuned, **further}


def _memory(
    scenario: Scenario,
    arms: Sequence[str],
    experiments: Sequence[str],
    *,
    trainings: Mapping[str, int],
    weights_mb: float,
) -> float:
    size = _size(weights_mb)
    base = LIBRARIES + WEIGHTS_HELD * weights_mb + _corpus(scenario)
    steps = [_step_tokens(scenario, with_passages=arm == "rag_lora") for arm in arms if arm in TUNED]
    tuning = max((TUNING * size * (step / 1_000) ** TUNING_GROWS for step in steps), default=0.0)
    processes = scenario.tuning.processes
    if tuning and isinstance(processes, int) and processes > 1:
        tuning += processes * LIBRARIES + weights_mb  # each imports the libraries, and together they hold the model
    further = sum(trainings.values()) - trainings["arms"]
    peak = (base + max(tuning, ANSWERING * size)) * (1 + min(MOST_AGAIN, AGAIN * further))
    return peak + max(_beside(scenario, experiments, weights_mb=weights_mb), default=0.0)


def _beside(scenario: Scenario, experiments: Sequence[str], *, weights_mb: float) -> Iterator[float]:
    """What the large experiments take beside; they run one after the other."""
    if "full_tuning" in experiments:
        yield FULL_WEIGHTS * weights_mb
    if "documents_in_weights" in experiments:
        yield DOCUMENTS_IN_WEIGHTS * _size(weights_mb)
    if "tuned_embedder" in experiments:
        yield EMBEDDER_TUNED[bool(scenario.documents)]


def _step_tokens(scenario: Scenario, *, with_passages: bool, rows: float = STEP_ROWS) -> float:
    """Tokens of one training step: the rows, and the instruction that they share."""
    cases: Sequence[Case] = scenario.train or scenario.cases
    row = statistics.fmean(len(case.input) + len(case.output) for case in cases) / 4 + 12
    row += 2 * PASSAGE_TOKENS if with_passages else 0
    return min(STEP_TOKENS, len(scenario.instruction) / 4 + 30 + rows * row)


def _passages(scenario: Scenario) -> float:
    return sum(max(1.0, len(document.text) / PASSAGE_CHARACTERS) for document in scenario.documents)


def _is_large(scenario: Scenario) -> bool:
    """Whether its documents, or their passages, are kept on disk."""
    return isinstance(scenario.documents, Spooled) or _passages(scenario) > MOST_EXACT


def _corpus(scenario: Scenario) -> float:
    if _is_large(scenario):
        return LARGE_CORPUS + LARGE_PASSAGE * _passages(scenario) / 2**20
    characters = sum(len(document.text) for document in scenario.documents)
    return (TEXT_BYTES * characters + PASSAGE_BYTES * _passages(scenario)) / 2**20


# What fits the device


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether one kind of work fits the device's memory; MiB."""

    what: str
    needs_mb: float
    there_mb: float
    device: str
    parts: tuple[tuple[str, float], ...]
    advice: str
    """What would make it fit; empty where it does."""
    devices: int = 1
    """Devices that have `there_mb` together."""
    processes: int = 1
    """Of which each needs `needs_mb`."""

    @property
    def fits(self) -> bool:
        """Whether it is expected to."""
        return not self.advice


OF_DEVICE = {"cuda": "the GPU has", "mps": "this machine has", "cpu": "this machine has"}
ROWS, MOST_TOKENS = 32, 65_536
"""Prompts that are answered together, and the most tokens of them."""
CASE_TOKENS = 30 + 2 * PASSAGE_TOKENS
"""Of a prompt, beside the instruction and the input, where passages are read."""


def fits(
    scenario: Scenario,
    arms: Sequence[str],
    shape: Shape,
    *,
    device: str,
    number: int,
    there_mb: float,
    devices: int = 1,
) -> tuple[Fit, ...]:
    """Answering and tuning against the device's memory (`tuning/memory.py` has the formulae).

    Args:
        number: bytes of a number in the device's usual precision.
        devices: GPUs of `there_mb` each; a model that is too large for one answers spread over all of them.
    """
    room = _Room(there_mb, devices, device)
    found = [_answering_fit(scenario, shape, number=number, room=room)]
    if set(arms) & set(TUNED):
        found.append(_tuning_fit(scenario, arms, shape, number=number, room=room))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Room:
    """MiB of one device, how many there are, and their kind."""

    mb: float
    devices: int
    device: str

    @property
    def usable(self) -> float:
        """Bytes of one."""
        return USABLE * self.mb * 2**20


def _answering_fit(scenario: Scenario, shape: Shape, *, number: int, room: _Room) -> Fit:
    bits = scenario.tuning.bits
    row = statistics.fmean(len(case.input) for case in scenario.cases) / 4 + (scenario.max_new_tokens or 64)
    tokens = int(ROWS * (len(scenario.instruction) / 4 + CASE_TOKENS + row))

    parts_of = partial(answering, shape, number=number, tokens=min(tokens, MOST_TOKENS))
    parts = parts_of(bits=bits)
    devices = 1 if parts.total <= room.usable else room.devices
    there = devices * room.usable
    advice = "" if parts.total <= there else _advice(math.inf if bits else parts_of(bits=4).total, there)
    return Fit("answering", parts.total / 2**20, devices * room.mb, room.device, _named(parts), advice, devices)


def _tuning_fit(scenario: Scenario, arms: Sequence[str], shape: Shape, *, number: int, room: _Room) -> Fit:
    wish = scenario.tuning
    rank = wish.rank or 16
    alone = lora(shape, number=number, bits=None, rank=rank, tokens=MICRO_TOKENS, recompute=True)
    count = processes_for(wish.processes, fits_one=alone.total <= room.usable, devices=room.devices)
    shared = 1 if room.device == "cuda" else count
    there = room.usable / shared - (weights(shape, number=number, bits=None) if shared > 1 else 0)

    def tuned(bits: int | None = None, processes: int = 1) -> Parts:
        rows = STEP_ROWS / processes
        step = int(max(_step_tokens(scenario, with_passages=a == "rag_lora", rows=rows) for a in arms if a in TUNED))
        parts = partial(lora, shape, number=number, bits=bits, rank=rank, tokens=step, processes=processes)
        plain = parts(recompute=False)
        return plain if plain.total <= there else parts(recompute=True)

    parts = tuned(wish.bits, count)
    fewest = [n for n in range(count + 1, room.devices + 1) if not wish.bits and tuned(processes=n).total <= there]
    further = _advice(math.inf if wish.bits or count > 1 else tuned(4).total, there)
    if fewest:
        further = (
            f"with processes = {fewest[0]} under [tuning] each would need about "
            f"{_mb(tuned(processes=fewest[0]).total / 2**20)} and fit"
        )
    elif shared > 1:
        further = "take fewer processes, which share this machine's memory"
    advice = "" if parts.total <= there else further
    what = "tuning an adapter"
    return Fit(what, parts.total / 2**20, room.mb, room.device, _named(parts), advice, processes=count)


def fits_here(engine: Engine, scenario: Scenario, arms: Sequence[str]) -> tuple[Fit, ...]:
    """`fits` for this machine; nothing where the weights are elsewhere, or do not say how large they are."""
    if not isinstance(engine, LocalEngine) or engine.shape is None:
        return ()
    here = machine()
    number = 4 if here.dtype == "float32" else 2
    there, devices = device_memory(here.device) / 2**20, device_count(here.device)
    refuse_processes(scenario.tuning.processes, device=here.device, devices=devices)
    return fits(scenario, arms, engine.shape, device=here.device, number=number, there_mb=there, devices=devices)


def refuse_processes(wish: int | str | None, *, device: str, devices: int) -> None:
    """Refuse more processes than this machine can run.

    Raises:
        UserError: there are fewer GPUs, or they are of a kind that cannot share a model.
    """
    if not isinstance(wish, int) or wish == 1 or device == "cpu" or (device == "cuda" and wish <= devices):
        return
    there = f"this machine has {devices} of them" if device == "cuda" else "this machine's GPU cannot share a model"
    instead = 'fewer, or processes = "auto"' if device == "cuda" else "processes = 1"
    raise UserError(
        f"processes = {wish} under [tuning] needs {wish} CUDA GPUs, one a process, and {there}. Write {instead}."
    )


def _advice(in_four: float, there: float) -> str:
    if in_four <= there:
        return f"with bits = 4 under [tuning] it would take about {_mb(in_four / 2**20)} and fit"
    return "take a smaller model"


def _named(parts: Parts) -> tuple[tuple[str, float], ...]:
    names = {
        "weights": parts.weights,
        "adapter, gradients and moments": parts.learning,
        "activations": parts.activations,
        "keys and values": parts.cache,
    }
    return tuple((name, size / 2**20) for name, size in names.items() if size)


def fit_sentence(fit: Fit) -> str:
    """What a kind of work needs, what there is, and what to do where it does not fit."""
    parts = ", ".join(f"{name} {_mb(size)}" for name, size in fit.parts)
    end = "it fits" if fit.fits else f"it does not fit: {fit.advice}"
    each = f" in each of {fit.processes} processes" if fit.processes > 1 else ""
    there = f"{fit.devices} GPUs together have" if fit.devices > 1 else OF_DEVICE[fit.device]
    if fit.processes > 1:
        there = "each GPU has" if fit.device == "cuda" else "for all of them, and the model itself, this machine has"
    return (
        f"{fit.what[0].upper()}{fit.what[1:]} needs about {_mb(fit.needs_mb)} for the model{each} ({parts}); "
        f"{there} {_mb(fit.there_mb)}: {end}."
    )


# Whether there is enough


def room(out: Path) -> Room:
    """Free memory, and free disk where the run folder and the cache will be."""
    places = [_existing(out), _existing(cache_folder())]
    return Room(
        memory_mb=min(psutil.virtual_memory().available / 2**20, _left_to_container()),
        disk_mb=_free(places[0]),
        cache_mb=_free(places[1]),
        shared=places[0].stat().st_dev == places[1].stat().st_dev,
    )


CONTAINER = Path("/sys/fs/cgroup")


def _left_to_container() -> float:
    """What a container's limit leaves (Linux, cgroup 2), caches of files counted as used; no limit: infinite."""
    try:
        limit, used = ((CONTAINER / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return max(0.0, (int(limit) - int(used)) / 2**20) if limit != "max" else math.inf
    except (OSError, ValueError):
        return math.inf


def _existing(path: Path) -> Path:
    """The nearest folder above that is there."""
    path = path.absolute()
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))


def _free(folder: Path) -> float | None:
    try:
        return shutil.disk_usage(folder).free / 2**20
    except OSError:
        return None


def too_little(need: Needs, there: Room) -> tuple[str, ...]:
    """What there is too little of, in sentences with figures; none where it is enough."""
    return tuple(_short(need, there))


def _short(need: Needs, there: Room) -> Iterator[str]:
    if there.memory_mb < need.memory_mb:
        yield (
            f"the run needs about {_mb(need.memory_mb)} of memory and {_mb(there.memory_mb)} are free: it may be slow, "
            "or the system may end it. Close other programs, or take fewer experiments or a smaller model; what is "
            "answered is kept, and the same command goes on"
        )
    wanted = need.disk_mb + (need.cache_mb if there.shared else 0.0)
    if there.disk_mb is not None and there.disk_mb < wanted:
        kept = f" and {_mb(need.cache_mb)} beside it for later runs" if there.shared else ""
        yield (
            f"the run folder needs about {_mb(need.disk_mb)}{kept}, and {_mb(there.disk_mb)} of its disk are free. "
            "Make room, or name a folder on another disk with --out"
        )
    if there.cache_mb is not None and not there.shared and there.cache_mb < need.cache_mb:
        yield (
            f"about {_mb(need.cache_mb)} are kept for later runs in {cache_folder()}, and {_mb(there.cache_mb)} of its "
            "disk are free: what does not fit is not kept"
        )


def _mb(value: float) -> str:
    return numbers.megabytes(max(1.0, value))


def refuse_without_disk(out: Path, *, disk_mb: float) -> None:
    """Refuse a run that clearly cannot be written; what lies in its folder already is not needed again.

    Raises:
        UserError: less than half of what is still needed is free.
    """
    there = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 2**20 if out.is_dir() else 0.0
    free, needed = _free(_existing(out)), disk_mb - there
    if free is not None and free < CLEARLY * needed:
        raise UserError(
            f"Nothing was begun: the run folder {out} needs about {_mb(needed)} more, and {_mb(free)} of its disk are "
            "free. Make room, or name a folder on another disk with --out."
        )
