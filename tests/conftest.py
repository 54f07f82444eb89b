"""Shared by all tests: one thread, so that runs repeat bit for bit."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)
