"""Ray in this process: calls are made when they are waited for, in an order that a test may choose."""

from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

from harness.engines.ray_cluster import Cluster, Worker


class WorkerLost(Exception):
    """As Ray says it."""


class TaskError(WorkerLost):
    """An error around a call, as Ray hands it over."""

    def __init__(self, cause):
        self.cause = cause


class FakeRay:
    """The first call first, those last that are late (`late(work, args)`)."""

    exceptions = SimpleNamespace(RayError=WorkerLost, RayTaskError=TaskError)

    def __init__(self, late=lambda work, args: False):
        self.late = late

    def wait(self, refs, *, timeout):
        ordered = sorted(refs, key=lambda ref: bool(ref.args) and self.late(*ref.args))
        return ordered[:1], ordered[1:]

    def get(self, ref):
        return ref()

    def put(self, what):
        return lambda: what


class Remote:
    """A method of an actor."""

    def __init__(self, method):
        self.method = method

    def options(self, **_):
        return self

    def remote(self, *args):
        return partial(self.method, *args)


class Handle:
    """An actor in this process; some calls take it down, some fail around the work (`faulty(work, args)`)."""

    def __init__(self, *, deadly=(), digest="same", faulty=lambda work, args: False):
        self.deadly, self.faulty, self.digest = deadly, faulty, digest
        self.made, self.worker = [], Worker()
        self.ready, self.do = Remote(self._ready), Remote(self._do)

    def _ready(self):
        if isinstance(self.digest, Exception):
            raise TaskError(self.digest)
        return self.digest

    def _do(self, work, args):
        self.made.append(args)
        if args in self.deadly:
            raise WorkerLost
        if self.faulty(work, args):
            raise TaskError(TypeError("its result cannot be sent"))
        return self.worker.do(work, args)


def cluster(*handles, ray=None):
    return Cluster(ray or FakeRay(), list(handles), threads=1, gpus=0, digest="same")


def runs_go_to(monkeypatch, *handles, ray=None):
    """Runs on a cluster have these workers."""
    ray = ray or FakeRay()
    monkeypatch.setattr("harness.engines.ray_cluster._ray", lambda: ray)

    @contextmanager
    def there(address):
        yield cluster(*handles, ray=ray)

    monkeypatch.setattr("harness.experiment.cluster_runs.cluster", there)
