"""Which device and precision are taken, on machines other than this one."""

import subprocess
import sys

import pytest
import torch

from harness.models import device
from harness.models.device import machine


@pytest.fixture
def on(monkeypatch):
    """Makes this machine look like another one."""

    def look(*, cuda=False, bf16=False, mps=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"GPU {number}")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(device, "has_bf16_units", lambda: bf16)
        return machine()

    return look


@pytest.mark.parametrize(
    ("here", "found"),
    [
        ({"cuda": True, "bf16": True}, ("cuda", "bfloat16", "a CUDA device is there")),
        ({"cuda": True}, ("cuda", "float16", "a CUDA device is there")),
        ({"mps": True}, ("mps", "float16", "an Apple GPU is there")),
        ({"bf16": True}, ("cpu", "bfloat16", "no GPU; the processor has bf16 units")),
        ({}, ("cpu", "float32", "no GPU; the processor has no bf16 units, so float32")),
    ],
)
def test_the_best_device_that_is_there_is_taken_with_a_precision_that_it_computes_in(on, here, found):
    one = on(**here)
    assert (one.device, one.dtype, one.why) == found
    assert one.device_name
    assert one.threads >= 1
    assert one.memory_mb > 0


def test_where_no_driver_is_torch_is_not_imported_to_know_it():
    code = """
import sys
from harness.models import device
sys.platform, device.DRIVERS = "linux", ()
print(device.device_kind(), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["cpu", "False"]


@pytest.mark.parametrize("here", [{"cuda": True}, {"mps": True}, {}])
def test_its_kind_is_what_the_machine_says(on, here):
    assert on(**here).device == device.device_kind()
