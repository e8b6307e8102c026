"""Which device and precision this machine offers, and how many threads."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Machine:
    """What a run will use."""

    device: str
    """`cuda`, `mps` or `cpu`."""
    device_name: str
    dtype: str
    """`bfloat16` where the device has units for it, else `float32` (`float16` on MPS)."""
    threads: int
    cores: int
    memory_mb: int
    why: str
    """One sentence: why this device and precision."""


def machine() -> Machine:
    """Look at this machine. Imports torch (seconds) but loads no model."""
    import torch

    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    threads = _thread_count(cores)
    memory = psutil.virtual_memory().total // 2**20
    kind = device_kind()
    if kind == "cuda":
        dtype = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        return Machine("cuda", torch.cuda.get_device_name(0), dtype, threads, cores, memory, "a CUDA device is there")
    if kind == "mps":
        return Machine("mps", "Apple GPU", "float16", threads, cores, memory, "an Apple GPU is there")
    if has_bf16_units():
        why = "no GPU; the processor has bf16 units"
        return Machine("cpu", cpu_name(), "bfloat16", threads, cores, memory, why)
    why = "no GPU; the processor has no bf16 units, so float32"
    return Machine("cpu", cpu_name(), "float32", threads, cores, memory, why)


def device_kind() -> str:
    """`cuda`, `mps` or `cpu`, as `machine` says; without torch, which takes seconds to import, where no GPU can be."""
    if "torch" not in sys.modules and sys.platform == "linux" and not any(Path(sign).exists() for sign in DRIVERS):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""What is there on Linux where a GPU's driver is: NVIDIA's, AMD's, and that of Windows below it."""


def device_memory(device: str) -> int:
    """Bytes of memory that the device has in all: of the first GPU, else of the machine (within its container's limit).

    Sums over several GPUs are not given: `device_count` says how many there are.
    """
    if device == "cuda":
        import torch

        return int(torch.cuda.get_device_properties(0).total_memory)
    return min(int(psutil.virtual_memory().total), _container_limit())


def device_count(device: str) -> int:
    """GPUs of this machine; a processor is one device."""
    if device == "cuda":
        import torch

        return int(torch.cuda.device_count())
    return 1


def _container_limit() -> int:
    with contextlib.suppress(OSError, ValueError):  # no cgroup 2, or "max"
        return int(Path("/sys/fs/cgroup/memory.max").read_text())
    return 2**63


def has_bf16_units() -> bool:
    """Whether the processor multiplies bf16 matrices in hardware (AVX-512 BF16, AMX or ARM's BF16)."""
    flags = _cpu_flags()
    return bool(flags & {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"})


def cpu_name() -> str:
    """The processor's name, as the system gives it."""
    for line in _cpu_info():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    import platform

    return platform.processor() or platform.machine()


def _cpu_flags() -> set[str]:
    for line in _cpu_info():
        if line.startswith(("flags", "Features")):
            return set(line.partition(":")[2].split())
    return set()


def _cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(errors="replace").splitlines() if path.exists() else []


@cache
def _thread_count(cores: int) -> int:
    """`OMP_NUM_THREADS` where it is set, else one a physical core, unless one thread is clearly faster right now.

    On a very busy machine the threads of one small matrix product wait for each other, and one thread can be several
    times faster than two.
    """
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdigit() and int(named) > 0:
        return int(named)
    return 1 if cores > 1 and _seconds_of_work(cores) > 1.5 * _seconds_of_work(1) else cores


def _seconds_of_work(threads: int) -> float:
    """Seconds of a chain of products of the size that decoding makes; the middle one of five."""
    import torch

    torch.set_num_threads(threads)
    left, right = torch.ones(32, 576), torch.ones(576, 1536)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(60):
            torch.relu(left @ right)
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)[2]
