# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that a run goes on from as if it had never stopped: safetensors, written whole.

They hold weights, their moving average, AdamW's moments, the step and the config. Batches and
dropped modalities follow from seed and step, so no state of a random generator is needed.
A digest of all of it tells a damaged file from a sound one.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ros2_spatial_ttt.errors import ConfigError

__all__ = ['load_checkpoint', 'save_checkpoint']

# 1 had no digest: it is refused, as nobody could tell whether such a file is sound.
FORMAT = 'spatial_ttt checkpoint 2'
# What every header holds.
HEADER = {'config': dict, 'step': int, 'skipped': int}


def save_checkpoint(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write a checkpoint; an older file of that name stays whole until the new one is.

    Args:
        path: of the file.
        tensors: any types and shapes.
        header: what JSON can hold; at least the names of ``HEADER``.

    Raises:
        ConfigError: it cannot be written.
    """
    aside = path.with_name(f'.{path.name}.{os.getpid()}.part')
    # safetensors keeps no stride: channels-last kernels are written in their logical order.
    whole = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    text = json.dumps(header)
    metadata = {'format': FORMAT, 'header': text, 'digest': _digest(whole, text)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(whole, aside, metadata=metadata)
        with aside.open('rb') as file:
            os.fsync(file.fileno())
        aside.rename(path)
    except (OSError, SafetensorError) as error:
        aside.unlink(missing_ok=True)
        raise ConfigError(
            f'{path}: cannot write the checkpoint ({error}); choose another --out or free space'
        ) from error


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and header of a checkpoint.

    Raises:
        ConfigError: there is no such file, it is damaged or something else.
    """
    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            if metadata.get('format') != FORMAT:
                raise ConfigError(
                    f'{path}: expected format {FORMAT!r}, got {metadata.get("format")!r}; '
                    'give a checkpoint that spatial-ttt train of this version wrote'
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = _sound_header(tensors, metadata)
    except (OSError, SafetensorError, ValueError) as error:
        raise ConfigError(
            f'{path}: cannot read the checkpoint, it is missing, half-written or damaged '
            f'({error}); delete it and train again, or go on from an older one'
        ) from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ConfigError(f'{path}: holds numbers that are not finite; go on from an older one')
    return tensors, header


def _sound_header(tensors: dict[str, Tensor], metadata: dict[str, str]) -> dict[str, Any]:
    """Return the header; raise ValueError unless all is as it was written."""
    text = metadata.get('header', '')
    expected, got = metadata.get('digest', 'none'), _digest(tensors, text)
    if got != expected:
        raise ValueError(f'expected digest {expected[:12]}, got {got[:12]}')
    header = json.loads(text)
    for name, kind in HEADER.items():
        if not isinstance(header, dict) or not isinstance(header.get(name), kind):
            raise ValueError(f'header: expected {name!r} of type {kind.__name__}')
    return header


def _digest(tensors: dict[str, Tensor], header: str) -> str:
    """Return the SHA-256 of a header and of names, types, shapes and bytes of tensors."""
    total = hashlib.sha256(header.encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f'\n{name} {tensor.dtype} {tuple(tensor.shape)}\n'.encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
