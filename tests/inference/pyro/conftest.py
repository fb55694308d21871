import pytest


@pytest.fixture(autouse=True)
def one_thread():
    """Tensors this small lose time to torch's threads where cores are shared."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
