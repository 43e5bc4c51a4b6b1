import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On tensors this small a second thread only waits: ten times as long where it shares a core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
