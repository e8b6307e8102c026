"""One of several processes that tune a model together: it holds a share of each weight (ZeRO stage 3, Rajbhandari et
al. 2020, arXiv 1910.02054; PyTorch FSDP, Zhao et al. 2023, arXiv 2304.11277).

The network is built without weights (accelerate). Layer by layer they are read, cut, and this process's share is kept;
a pass gathers one layer at a time. The loop, the loss and the schedule are those of `tuning/lora.py`.

accelerate's own FSDP is not used: on a processor it makes copies of the whole model instead (DDP), without a word.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from harness.generation import attention
from harness.models.local import LoadedModel, contiguous_for_head, keep_quiet
from harness.tuning.checkpoint import Checkpoints, Kept, Reached
from harness.tuning.examples import Row
from harness.tuning.full import FullTrainer, write_marker
from harness.tuning.lean import lean_layers
from harness.tuning.lora import WEIGHTS_FILE, Trainer, TuningSettings, answer_loss, recomputing, tune_rows, with_adapter
from harness.tuning.processes import DONE, JOB, PROGRESS, Job, last_word, result_as_json
from harness.tuning.team import ALONE, Team


def work(folder: str, *, rank: int, meeting: str) -> None:
    """The whole life of a worker: `folder` holds its job, `meeting` is a file where the team finds together."""
    place = Path(folder)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started this process says when it is over
    sys.excepthook = partial(_failed, last_word(place, rank))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = msgspec.json.decode((place / JOB).read_bytes(), type=Job)
    keep_quiet()
    import torch

    torch.set_num_threads(job.machine.threads)
    on_gpu = job.machine.device == "cuda"
    if on_gpu:
        torch.cuda.set_device(rank)
    size = job.settings.processes
    torch.distributed.init_process_group(
        "nccl" if on_gpu else "gloo", init_method=f"file://{meeting}", rank=rank, world_size=size
    )
    _tune(job, place, Team(rank, size, job.machine.device))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _failed(place: Path, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say what went wrong, and go at once: the libraries' own end waits for the others."""
    said = " ".join(str(error).split())
    with suppress(OSError):
        place.write_text(f"{kind.__name__}: {said}"[:2_000], encoding="utf-8", errors="replace")
    sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    os._exit(1)


def _end_with_parent() -> None:
    """Standard input is a pipe that nobody writes to; it ends when the one who started this process does."""
    os.read(0, 1)
    os._exit(1)


def _tune(job: Job, place: Path, team: Team) -> None:
    loaded = _hollow(job)
    with (place / PROGRESS).open("a", encoding="utf-8", buffering=1) as stream:

        def progress(what: str, share: float) -> None:
            if team.rank == 0:
                stream.write(json.dumps([what, share]) + "\n")

        result = tune_rows(
            loaded,
            (job.train, job.held),
            settings=job.settings,
            progress=progress,
            opened=partial(_opened, team=team, source=Source(Path(job.model))),
            checkpoints=SharedCheckpoints(Path(job.out), job.key, team=team),
        )
    if team.rank == 0:
        (place / DONE).write_bytes(result_as_json(result))


def _hollow(job: Job) -> LoadedModel:
    """The network without its weights: each is a single number that poses as a whole matrix."""
    import torch
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(job.model, trust_remote_code=False, local_files_only=True)
    with init_empty_weights(include_buffers=False):
        network = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, job.machine.dtype))
    network.tie_weights()
    replace_parameters(network, lambda p: torch.zeros((), dtype=p.dtype).expand(p.shape))
    network.eval().requires_grad_(False)
    contiguous_for_head(network)
    attention.known(network, is_ready=job.flat)
    return LoadedModel(network, None, job.machine, job.description, frozenset(), Path(job.model))


def replace_parameters(module: Any, value_of: Callable[[Any], Any]) -> None:
    """New values for all parameters for which `value_of` has one; what was tied stays tied."""
    import torch

    made: dict[Any, Any] = {}
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter not in made:
                value = value_of(parameter)
                made[parameter] = None if value is None else torch.nn.Parameter(value, parameter.requires_grad)
            if made[parameter] is not None:
                part._parameters[name] = made[parameter]


@dataclass(frozen=True, slots=True)
class Source:
    """The weights of a model's folder."""

    folder: Path

    def tensors(self, network: Any, stack: ExitStack) -> Mapping[Any, Callable[[], Any]]:
        """Parameter of a network -> what reads its value from the files. Buffers that they hold are set at once."""
        from safetensors import safe_open

        files = [
            stack.enter_context(safe_open(file, framework="pt")) for file in sorted(self.folder.glob("*.safetensors"))
        ]
        where = {name: file for file in files for name in file.keys()}  # noqa: SIM118 - no mapping
        wanted = _by_parameter(network)
        for name, buffer in network.named_buffers():
            if name in where:
                buffer.copy_(where[name].get_tensor(name))
        if all(any(name in where for name in names) for names in wanted.values()):
            known = {tensor: next(name for name in names if name in where) for tensor, names in wanted.items()}
            return {tensor: partial(where[name].get_tensor, name) for tensor, name in known.items()}
        return self._converted(network, wanted)

    def _converted(self, network: Any, wanted: Mapping[Any, Sequence[str]]) -> Mapping[Any, Callable[[], Any]]:
        """Of files whose names the library translates: it reads them, and each process holds all for a while."""
        from transformers import AutoModelForCausalLM

        whole = AutoModelForCausalLM.from_pretrained(
            self.folder, dtype=network.dtype, trust_remote_code=False, use_safetensors=True, local_files_only=True
        )
        found = dict(whole.named_parameters(remove_duplicate=False))
        return {tensor: partial(found.__getitem__, names[0]) for tensor, names in wanted.items()}


def _by_parameter(network: Any) -> dict[Any, list[str]]:
    names: dict[Any, list[str]] = {}
    for name, tensor in network.named_parameters(remove_duplicate=False):
        names.setdefault(tensor, []).append(name)
    return names


@contextmanager
def _opened(loaded: LoadedModel, settings: TuningSettings, *, team: Team, source: Source) -> Iterator[Trainer]:
    """As `fresh_adapter`, or with all weights learning, in shares."""
    network = loaded.network
    network.requires_grad_(settings.full)
    with ExitStack() as files:
        values = source.tensors(network, files)
        model = network if settings.full else with_adapter(network, settings)
        asked = _asked(loaded, model)
        _shard(asked, values, team)
        del values
    with ExitStack() as stack:
        if not settings.full:
            stack.enter_context(lean_layers(model))
        stack.enter_context(recomputing(network, wanted=settings.recompute))
        yield (ShardedFullTrainer if settings.full else ShardedTrainer)(loaded, model, team).asking(asked)


def _asked(loaded: LoadedModel, model: Any) -> Any:
    """The loss as a module: what it calls is gathered before, and given back after."""
    import torch

    class Asked(torch.nn.Module):  # type: ignore[misc] # torch ships no usable types
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, rows: Sequence[Row], prefix: Sequence[int]) -> tuple[Any, int]:
            return answer_loss(loaded, self.model, rows, prefix=prefix)

    return Asked()


def _shard(asked: Any, values: Mapping[Any, Callable[[], Any]], team: Team) -> None:
    """Layer by layer: read, cut, keep this process's share. What is in no layer is cut last."""
    import torch
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    from transformers.modeling_layers import GradientCheckpointingLayer

    mesh = init_device_mesh(team.device, (team.size,))
    policy = MixedPrecisionPolicy(reduce_dtype=torch.float32)

    def value_of(parameter: Any) -> Any:
        return values[parameter]().detach().to(parameter.dtype) if parameter in values else None

    layers = [module for module in asked.modules() if isinstance(module, GradientCheckpointingLayer)]
    for module in (*layers, asked):
        replace_parameters(module, value_of)
        fully_shard(module, mesh=mesh, mp_policy=policy, reshard_after_forward=True)


class ShardedTrainer(Trainer):
    """A `Trainer` whose weights, and all that goes with them, are shares; checkpoints and results are whole."""

    _loss: Any

    def __init__(self, loaded: LoadedModel, model: Any, team: Team) -> None:
        super().__init__(loaded, model, team)

    def asking(self, asked: Any) -> ShardedTrainer:
        """With the module that the loss is asked of."""
        self._loss = asked
        return self

    def loss(self, rows: Sequence[Row], prefix: Sequence[int]) -> tuple[Any, int]:
        """See `Trainer`."""
        found: tuple[Any, int] = self._loss(rows, prefix)
        return found

    def tensors(self, optimizer: Any, best: Sequence[Any] | None) -> dict[str, Any]:
        """Whole ones for the first process, which writes them; all have to ask, and the others are given nothing."""
        return self._whole(super().tensors(optimizer, best))

    def take(self, tensors: Mapping[str, Any], optimizer: Any) -> list[Any] | None:
        """See `Trainer`; the tensors are whole."""
        return super().take({name: self._share(name, tensor) for name, tensor in tensors.items()}, optimizer)

    def save(self, out: Path) -> None:
        """By the first process."""
        weights = self._whole({name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad})
        if self.team.rank == 0:
            self._write(out, weights)
        self.team.wait()

    def _write(self, out: Path, weights: dict[str, Any]) -> None:
        self.model.save_pretrained(out, state_dict=weights)

    def _whole(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        from torch.distributed.tensor import DTensor

        found = {}
        for name, tensor in tensors.items():
            whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
            if self.team.rank == 0:
                found[name] = whole.cpu().contiguous()
        return found

    def _share(self, name: str, tensor: Any) -> Any:
        """This process's share of a tensor that belongs to a learning weight."""
        from torch.distributed.tensor import distribute_tensor

        kind, _, rest = name.partition(".")
        if kind not in ("master", "best", "optimizer"):
            return tensor
        like = self.masters[int(rest.partition(".")[0])]
        if tensor.shape != like.shape:
            return tensor  # a count of steps
        whole = tensor.to(self.team.device)
        return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)


class ShardedFullTrainer(ShardedTrainer):
    """All weights learn."""

    optimizer = FullTrainer.optimizer

    def _write(self, out: Path, weights: dict[str, Any]) -> None:
        from safetensors.torch import save_file

        out.mkdir(parents=True, exist_ok=True)
        save_file(weights, out / WEIGHTS_FILE, metadata={"format": "pt"})
        write_marker(out, self.loaded.description)


@dataclass
class SharedCheckpoints(Checkpoints):
    """Checkpoints that the first process writes, and decides on; all read them."""

    team: Team = ALONE

    def read(self) -> Kept | None:
        """One by one, because a foreign one is deleted; none where they do not all read the same."""
        found = None
        for turn in range(self.team.size):
            found = super().read() if turn == self.team.rank else found
            self.team.wait()
        first = self.team.told(found.reached if found else None)
        return found if self.team.all(found is not None and found.reached == first) else None

    def due(self, *, at_end: bool) -> bool:
        """See `Checkpoints`."""
        return self.team.told(super().due(at_end=at_end))

    def write(self, reached: Reached, tensors: Callable[[], dict[str, Any]]) -> None:
        """All give their shares."""
        if self.team.rank == 0:
            super().write(reached, tensors)
        else:
            tensors()
