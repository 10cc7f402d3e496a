"""Trainers and the making of base models."""

from __future__ import annotations


def one_thread() -> None:
    """Give this process one compute thread: several processes share a machine better than several threads."""
    import torch

    torch.set_num_threads(1)
