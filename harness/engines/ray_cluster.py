"""Where work runs: processes on a Ray cluster. Knows nothing of arms: it has functions called and hands back results.

Each worker is an actor of its own, so that what a function keeps in its module (weights, indexes) is kept for the next
call. A worker that is lost costs the call it was making: that is made again by another, and Ray starts the worker anew
where it finds room.
"""

from __future__ import annotations

import contextlib
import heapq
import importlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from harness.errors import MissingModel, RunStopped, UserError
from harness.generation.isolation import attempt, said

MOST_TRIES = 3
"""Workers that one call may cost: what kills every worker is not sent to a fourth."""
MOST_KEPT = 12
"""Shared things that a worker keeps unpacked, the latest ones."""
NOBODY = 300.0
"""Seconds in which a first worker must have been started."""
SECONDS_TO_ANSWER = 10.0
THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no result."""

    why: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A call to be made by a worker."""

    work: Callable[..., object]
    """Found by its name at the worker."""
    args: tuple[Any, ...]
    then: Callable[[Any], Iterable[Unit]]
    """Told the result, or `Failed`, in this process; gives what can be done now."""
    urgency: int = 0
    """The most urgent first, equals in their order."""
    wanted: Callable[[], bool] = lambda: True
    """Asked before it is sent."""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Took:
    """A call that was made."""

    name: str
    seconds: float
    """From sending it to having its result."""
    worker: int
    here: float
    """Seconds that this process was then busy with the result."""


@dataclass(frozen=True, slots=True)
class _Sent:
    worker: Any
    unit: Unit | None = None
    tries: int = 0
    at: float = 0.0
    waits: bool = False
    """Until the worker was started anew, however long that takes."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Something large that many calls take: sent to a machine once, unpacked by a worker once."""

    key: str
    box: tuple[Any, ...]
    """Holds the reference, hidden from Ray, which would unpack it for every call."""


class Worker:
    """Runs in a process of its own; Ray makes it an actor."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def ready(self) -> str:
        """Digest of the harness's source there."""
        from harness import provenance

        return provenance.code_digest()

    def do(self, work: Callable[..., object], args: Sequence[Any]) -> object:
        """Call it; what goes wrong in it is a result too."""
        try:
            done = attempt(lambda: work(*map(self._unpacked, args)))
        except RunStopped as error:  # what to do about it is said where the call is made once more
            done = error
        return Failed(said(done)) if isinstance(done, Exception) else done

    def _unpacked(self, arg: Any) -> Any:
        if not isinstance(arg, Shared):
            return arg
        if arg.key not in self._kept:
            self._kept[arg.key] = _ray().get(arg.box[0])
            for old in list(self._kept)[:-MOST_KEPT]:
                del self._kept[old]
        return self._kept[arg.key]


@dataclass
class Cluster:
    """Workers, and what they are doing."""

    ray: Any
    workers: list[Any]
    threads: int
    gpus: int
    digest: str
    lost: int = 0
    """Calls that went down with their worker so far."""
    took: list[Took] = field(default_factory=list)
    unfit: str = ""
    """Why the last worker that was given up could not be started."""
    _order: Iterator[int] = field(default_factory=count)

    def share(self, key: str, what: object) -> Shared:
        """Put something large where all workers can take it from."""
        return Shared(key, (self.ray.put(what),))

    def run(self, units: Iterable[Unit]) -> None:
        """Make these calls and those that follow from them; returns when nothing is left.

        Raises:
            UserError: no worker could be started, or one has another version of the harness.
        """
        waiting: list[tuple[int, int, int, Unit]] = []
        self._put(waiting, units)
        heard, idle = time.monotonic(), list[Any]()
        under_way = {worker.ready.remote(): _Sent(worker) for worker in self.workers}
        started = False
        while waiting or any(sent.unit for sent in under_way.values()):
            self._send(waiting, idle, under_way)
            done, _ = self.ray.wait(list(under_way), timeout=1.0) if under_way else ([], [])
            for ref in done:
                sent = under_way.pop(ref)
                result, gone = self._result(ref)
                if gone is not None:
                    self._ask_again(sent, gone, under_way)
                    self._lost(waiting, sent, gone)
                    continue
                started = True
                idle.append(sent.worker)
                if sent.unit is not None:
                    seconds = time.perf_counter() - sent.at
                    began_here = time.perf_counter()
                    self._put(waiting, sent.unit.then(result))
                    here, worker = time.perf_counter() - began_here, self.workers.index(sent.worker)
                    self.took.append(Took(sent.unit.name, seconds, worker, here))
                else:
                    self._check(result)
            if waiting and not under_way and not idle:
                raise UserError(f"No worker of the cluster can be started: {self.unfit}. {SAME_VERSION}")
            if done or any(sent.unit for sent in under_way.values()):
                heard = time.monotonic()
            elif time.monotonic() - heard > NOBODY:
                raise UserError(
                    "All workers of the cluster were lost, and Ray starts no new one. What was answered is kept: the "
                    "same command goes on, with either engine."
                    if started
                    else f"Ray could not start a worker within {NOBODY:g} seconds: each takes {self.threads} CPU"
                    f"{' and a GPU' if self.gpus else ''}, and the cluster has {self.ray.available_resources()} free."
                )

    def _put(self, waiting: list[tuple[int, int, int, Unit]], units: Iterable[Unit], *, tries: int = 0) -> None:
        for unit in units:
            heapq.heappush(waiting, (-unit.urgency, next(self._order), tries, unit))

    def _send(self, waiting: list[tuple[int, int, int, Unit]], idle: list[Any], under_way: dict[Any, _Sent]) -> None:
        while waiting and idle:
            _, _, tries, unit = heapq.heappop(waiting)
            if unit.wanted():
                worker = idle.pop(0)
                ref = worker.do.remote(unit.work, unit.args)
                under_way[ref] = _Sent(worker, unit, tries, time.perf_counter())

    def _ask_again(self, sent: _Sent, gone: Exception, under_way: dict[Any, _Sent]) -> None:
        """Wait until Ray has started a lost worker anew; one that fell over as it was started comes no more."""
        if sent.waits:
            self.unfit = _last_line(gone)
            return
        again = sent.worker.ready.options(max_task_retries=-1).remote()
        under_way[again] = _Sent(sent.worker, waits=True)

    def _lost(self, waiting: list[tuple[int, int, int, Unit]], sent: _Sent, why: Exception) -> None:
        """Its call is made again by another worker, but not for ever."""
        if sent.unit is None:
            return
        self.lost += 1
        if sent.tries + 1 < MOST_TRIES:
            self._put(waiting, [sent.unit], tries=sent.tries + 1)
        else:
            failed = Failed(f"{MOST_TRIES} workers were lost over it, the last with {type(why).__name__}")
            self._put(waiting, sent.unit.then(failed))

    def _check(self, digest: object) -> None:
        """Whether a worker that was started can take part.

        Raises:
            UserError: bakeoff is another version there, or cannot say so.
        """
        if isinstance(digest, Failed):
            raise UserError(f"A worker of the cluster does not work: {digest.why}. {SAME_VERSION}")
        if digest != self.digest:
            raise UserError(ANOTHER_VERSION)

    def _result(self, ref: Any) -> tuple[object, Exception | None]:
        """What came of a call, and how its worker was lost."""
        try:
            return self.ray.get(ref), None
        except (
            self.ray.exceptions.RayTaskError
        ) as error:  # around the call, as where a worker cannot read its arguments
            cause = error.cause
            return Failed(said(cause if isinstance(cause, Exception) else error)), None
        except self.ray.exceptions.RayError as error:
            return None, error


def _last_line(error: Exception) -> str:
    """Ray puts a worker's whole traceback into its message."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip()[:400] if lines else type(error).__name__


SAME_VERSION = "Install the same version of bakeoff on all machines of the cluster."
ANOTHER_VERSION = (
    f"A worker of the cluster has another version of bakeoff than this machine, and would answer differently. "
    f"{SAME_VERSION}"
)


@contextlib.contextmanager
def cluster(address: str | None) -> Iterator[Cluster]:
    """Connect (to this machine alone where there is no address and no `RAY_ADDRESS`) and start the workers.

    One worker a GPU where the cluster has GPUs, else one for every `OMP_NUM_THREADS` (default 1) CPUs.

    Raises:
        MissingModel: Ray is not installed.
        UserError: no cluster answers.
    """
    ray = _ray()
    there = contextlib.nullcontext() if ray.is_initialized() else _connected(ray, address)
    with _quiet(), there:
        started: list[Any] = []
        try:
            made = _workers(ray)
            started = made.workers
            yield made
        finally:
            for worker in started:
                ray.kill(worker, no_restart=True)


@contextlib.contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """Connected, and SIGTERM is left as it was: Ray sets it, and does not set it back.

    Who has something to do at the end, such as an upload, does it in here too; who sets it meanwhile is heard.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        _connect(ray, address)
    except BaseException:
        _set_sigterm(before)
        raise
    if callable(before):
        _set_sigterm(before)
    now = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        ray.shutdown()
        if signal.getsignal(signal.SIGTERM) is now:
            _set_sigterm(before)


def _set_sigterm(handler: Any) -> None:
    """In the main thread (elsewhere Ray leaves it alone), where it was Python's (else it is None)."""
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MissingModel(
            "--engine ray needs Ray, which is not installed. Install it with: pip install 'bakeoff-advisor[ray]'"
        ) from error


def _connect(ray: Any, address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine
    address = address or os.environ.get("RAY_ADDRESS")
    here = {} if address else {"include_dashboard": False}
    host, _, port = (address or "").rpartition(":")
    try:
        if host and port.isdigit() and "/" not in host:  # Ray itself tries for a minute and may end the process
            socket.create_connection((host, int(port)), timeout=SECONDS_TO_ANSWER).close()
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **here)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"No Ray cluster answers at {address or 'this machine'}: {said(error)}. Start one with `ray start --head` "
            "and give --address HOST:PORT, or leave --address (and RAY_ADDRESS) out to use this machine alone."
        ) from error


def _workers(ray: Any) -> Cluster:
    from harness import provenance

    named = os.environ.get(THREADS, "")
    threads = int(named) if named.isdigit() and int(named) else 1
    there = ray.cluster_resources()
    gpus = 1 if there.get("GPU", 0) >= 1 else 0
    number = int(there["GPU"]) if gpus else int(there.get("CPU", 0) // threads)
    made = ray.remote(Worker).options(
        num_cpus=threads, num_gpus=gpus, max_restarts=-1, runtime_env={"env_vars": {THREADS: str(threads)}}
    )
    return Cluster(ray, [made.remote() for _ in range(max(1, number))], threads, gpus, provenance.code_digest())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Ray says of lost machines off the terminal (the way its own debugger does); it stays in Ray's logs."""
    inner = importlib.import_module("ray._private.worker")
    before = getattr(inner, "_worker_logs_enabled", True)
    vars(inner)["_worker_logs_enabled"] = False
    try:
        yield
    finally:
        vars(inner)["_worker_logs_enabled"] = before
