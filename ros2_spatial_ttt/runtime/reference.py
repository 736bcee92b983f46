# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The model as float64 numpy: slow, without any framework, the form others are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.memory import oracle
from ros2_spatial_ttt.memory.field import FieldState
from ros2_spatial_ttt.runtime.base import (
    ChunkInput,
    FieldKind,
    Manifest,
    Samples,
    State,
    load_frequencies,
    load_initial_state,
)
from ros2_spatial_ttt.runtime.reference_network import TrainedNetwork
from ros2_spatial_ttt.runtime.reference_second_look import SecondLookNetwork
from ros2_spatial_ttt.runtime.reference_untrained import UntrainedNetwork

__all__ = ['ReferenceRuntime']


class ReferenceRuntime:
    """Runs the weights and rules of a model folder through ``memory/oracle.py``."""

    name = 'reference'

    def __init__(self, manifest: Manifest) -> None:
        if manifest.network == 'pretrained':
            raise ModelError(
                f'model {manifest.name!r}: a pretrained backbone stands in place of its trunk, '
                'which has no float64 form; use another backend'
            )
        self.manifest = manifest
        self.omega = load_frequencies(manifest)
        network = UntrainedNetwork if manifest.network == 'untrained' else TrainedNetwork
        self._network = network(manifest, _exact(manifest.folder / 'weights.safetensors'))
        self._second_look = (
            SecondLookNetwork(_exact(manifest.folder / 'second_look.safetensors'))
            if manifest.second_look
            else None
        )
        self._rule: dict[str, Any] = {**manifest.rule, 'steps': None}

    def initial_state(self) -> State:
        """See ``Runtime.initial_state``."""
        return load_initial_state(self.manifest)

    def encode(self, chunk: ChunkInput, state: State) -> tuple[Samples, State]:
        """See ``Runtime.encode``; float64."""
        return self._network.encode(chunk, state)

    def update(
        self,
        kind: FieldKind,
        state: FieldState,
        points: NDArray[np.float32],
        values: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> FieldState:
        """See ``Runtime.update``; float64."""
        return oracle.field_update(
            state, points, values, weights, omega=self.omega[kind], **self._rule
        )

    def read(
        self, kind: FieldKind, weight: NDArray[np.float32], points: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """See ``Runtime.read``; float64."""
        return oracle.field_read(weight, points, omega=self.omega[kind])

    def embed(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See ``Runtime.embed``; float64."""
        return self._network.embed(pictures)

    def second_look(
        self,
        picture: NDArray[np.uint8],
        place: NDArray[np.float32],
        known: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """See ``Runtime.second_look``; float64."""
        assert self._second_look is not None
        return self._second_look.probabilities(picture, place, known)


def _exact(path: Path) -> dict[str, NDArray[np.float64]]:
    return {name: value.astype(np.float64) for name, value in load_file(path).items()}
