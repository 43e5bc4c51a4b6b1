"""Memory, as the operating system counts it."""

import mmap
import sys

import pytest
import torch

from lnl.metrics import peak_device_memory, peak_memory, reset_peak_memory

MB = 10**6


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process reset its peak")
def test_the_peak_holds_what_was_touched_until_it_is_reset():
    reset_peak_memory()
    before = peak_memory()
    touched = mmap.mmap(-1, 200 * MB)  # straight from the system: the allocator may have freed memory in store
    touched[:] = bytes([1]) * len(touched)
    peak = peak_memory()
    assert 198 * MB < peak - before < 460 * MB  # with the bytes it was filled from
    touched.close()
    assert peak_memory() > peak - 5 * MB  # the kernel's count is not exact
    reset_peak_memory()
    assert peak_memory() < peak - 150 * MB


def test_the_cpu_has_no_device_memory():
    assert peak_device_memory(torch.device("cpu")) is None
