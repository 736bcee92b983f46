# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What every backend offers, and the description of a model folder.

Letters: F frames of a chunk, T tokens per frame, N samples, K names, D field features, C channels
of the appearance field, M points, E embedding width. All float32 unless said.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import yaml
from numpy.typing import NDArray
from safetensors.numpy import load_file

from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.memory.field import FieldState

__all__ = [
    'ARTEFACT_VERSION',
    'ChunkInput',
    'FieldKind',
    'Manifest',
    'ResidentState',
    'Runtime',
    'Samples',
    'State',
    'Tokens',
    'is_finite',
    'load_frequencies',
    'load_initial_state',
    'load_manifest',
    'under',
]

ARTEFACT_VERSION = 2

FieldKind = Literal['appearance', 'geometry']

# What the backbone carries from chunk to chunk of one camera, by name; shapes never change.
State = Mapping[str, NDArray[np.float32]]


class ResidentState(State):
    """A state that lies elsewhere and comes to the host only when an array is asked for.

    Attributes:
        finite: whether every number is finite.
    """

    finite: bool


def is_finite(state: Mapping[str, NDArray]) -> bool:
    """Return whether every number of a state is finite; a sum shows it without a temporary."""
    if isinstance(state, ResidentState):
        return state.finite
    return all(bool(np.isfinite(array.sum(dtype=np.float64))) for array in state.values())


@dataclass(frozen=True)
class ChunkInput:
    """Frames of one camera, as the encoder takes them; padding is zero.

    Attributes:
        image: (F, H, W, 3) uint8 RGB at the model's size.
        depth: (F, T) m along the optical axis at each token, 0 = not measured.
        ray: (T, 3) direction of each token in the optical frame, z = 1.
        tile_T_camera: (F, 3, 4) optical frame to tile, metres.
        frame_valid: (F,) 1 for a frame, 0 for padding.
        camera_height: (F,) m of the camera above the floor.
        heights: (F,) 1 = that height is known.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    ray: NDArray[np.float32]
    tile_T_camera: NDArray[np.float32]
    frame_valid: NDArray[np.float32]
    camera_height: NDArray[np.float32]
    heights: NDArray[np.float32]


@dataclass(frozen=True)
class Tokens:
    """What the network says of every token of a chunk; all 0 in frames of padding.

    Attributes:
        names: (F, T, 1 + K) probabilities, background first.
        centre: (F, T, 3) m in the tile, of the thing that a token belongs to.
        spread: (F, T) m, expected error of ``centre``.
        size: (F, T, 3) m, longer and shorter horizontal edge and height of that thing.
        turn: (F, T, 2) cos and sin of twice the yaw of its longer edge in the map.
        depth: (F, T) m as measured, else as predicted.
        depth_spread: (F, T) expected relative error of ``depth``; 0 where it was measured.
        point: (F, T, 3) m in the tile, of the surface that a token shows.
        surprise: (F,) 0..2, how much a frame differs from what was predicted before it.
    """

    names: NDArray[np.float32]
    centre: NDArray[np.float32]
    spread: NDArray[np.float32]
    size: NDArray[np.float32]
    turn: NDArray[np.float32]
    depth: NDArray[np.float32]
    depth_spread: NDArray[np.float32]
    point: NDArray[np.float32]
    surprise: NDArray[np.float32]


@dataclass(frozen=True)
class Samples:
    """What a chunk says about points of space; points of weight 0 do not exist.

    Attributes:
        surface_points: (N, 3) m in the tile. surface_values: (N, C). surface_weights: (N,).
        free_points: (N', 3) m in the tile. free_weights: (N',).
        tokens: None from a model that knows no names.
    """

    surface_points: NDArray[np.float32]
    surface_values: NDArray[np.float32]
    surface_weights: NDArray[np.float32]
    free_points: NDArray[np.float32]
    free_weights: NDArray[np.float32]
    tokens: Tokens | None = None

    @staticmethod
    def arrays() -> tuple[str, ...]:
        """Return the names of the arrays that every model gives."""
        return tuple(field.name for field in dataclasses.fields(Samples))[:-1]


@dataclass(frozen=True)
class Manifest:
    """Description of a model folder, from its ``manifest.yaml``.

    Attributes:
        name: of the model. folder: where it lies. hash: SHA-256 over its files, hex.
        network: 'spatial'; 'pretrained' where an image backbone of others is its trunk;
            'untrained' for random convolutions. precision: 'fp32' or 'fp16'.
        image_width, image_height: pixels of the encoder's input.
        chunk_frames: F. grid: rows and columns of tokens, at which depth goes in.
        sample_grid: rows and columns of samples of a frame. window: pixels of an example picture.
        sectors: compass directions that looks are told apart by. embedding: E.
        appearance_features, geometry_features: D. appearance_channels: C.
        predicts_depth: whether frames without measured depth can be used.
        worst_depth: relative error at which a predicted depth makes no sample any more.
        found_score: (half, slope) of the logistic from read score to confidence of an example.
        labels: class table; empty while nothing was trained.
        second_look: whether detections are looked at once more (``memory/second_look.py``).
        detector: constants of ``memory/detect.py`` and of how names are read.
        rule: constants of the field's update.
        backbone: sizes of the backbone; empty without one.
        state: shape of each array of the backbone's state.
    """

    name: str
    folder: Path
    hash: str
    network: str
    precision: str
    image_width: int
    image_height: int
    chunk_frames: int
    grid: tuple[int, int]
    sample_grid: tuple[int, int]
    window: int
    sectors: int
    appearance_features: int
    appearance_channels: int
    geometry_features: int
    embedding: int
    depth_max_m: float
    free_margin_m: float
    predicts_depth: bool
    worst_depth: float
    found_score: tuple[float, float]
    labels: tuple[str, ...]
    second_look: bool
    detector: dict[str, float]
    rule: dict[str, float]
    backbone: dict[str, Any]
    state: dict[str, tuple[int, ...]]

    @property
    def tokens(self) -> int:
        """T."""
        return self.grid[0] * self.grid[1]

    @property
    def stride(self) -> int:
        """Input pixels between tokens."""
        return self.image_width // self.grid[1]


class Runtime(Protocol):
    """A backend. Calls are pure: state goes in and comes out, nothing is kept.

    ``omega`` holds the key frequencies (D/2, 3) in rad/m of 'appearance' and 'geometry'.
    """

    name: str
    manifest: Manifest
    omega: dict[str, NDArray[np.float32]]

    def initial_state(self) -> State:
        """Return the backbone's state before the first chunk of a camera; {} without backbone."""
        ...

    def encode(self, chunk: ChunkInput, state: State) -> tuple[Samples, State]:
        """Return the samples of a chunk and the next state; ``state`` is not changed."""
        ...

    def update(
        self,
        kind: FieldKind,
        state: FieldState,
        points: NDArray[np.float32],
        values: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> FieldState:
        """Return a field of ``kind`` after samples, solved exactly; ``state`` is not changed.

        Args:
            kind: which field.
            state: before.
            points: (N, 3) m in the tile, N at least 1.
            values: (N, C), column 0 is 1.
            weights: (N,) at least 0; 0 = no sample.
        """
        ...

    def read(
        self, kind: FieldKind, weight: NDArray[np.float32], points: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return what a field says at points (M, 3) in the tile, (M, C); ``weight`` is its W."""
        ...

    def embed(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return unit embeddings (n, E) of pictures (n, window, window, 3) RGB."""
        ...

    def second_look(
        self,
        picture: NDArray[np.uint8],
        place: NDArray[np.float32],
        known: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Return the probability of nothing and of each name, (n, 1 + K), of n detections.

        Only of a model with ``Manifest.second_look``; arguments as ``memory/second_look.py`` cuts
        them out.
        """
        ...


def load_frequencies(manifest: Manifest) -> dict[str, NDArray[np.float32]]:
    """Return the key frequencies of a model folder."""
    omega = load_file(manifest.folder / 'omega.safetensors')
    return {name: omega[name] for name in ('appearance', 'geometry')}


def load_initial_state(manifest: Manifest) -> State:
    """Return the backbone's state before the first chunk; what the folder does not hold is 0."""
    state = {name: np.zeros(shape, np.float32) for name, shape in manifest.state.items()}
    if state:
        state.update(load_file(manifest.folder / 'state.safetensors'))
    return state


def under(prefix: str, values: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Return the arrays whose name begins with a prefix, by the rest of it."""
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}


def load_manifest(folder: Path) -> Manifest:
    """Read and check a model folder: version, presence and hash of every file.

    Raises:
        ModelError: names the file, what was expected and found, and the command that makes it.
    """
    remedy = "make it with 'spatial-ttt export' or choose another 'model'"
    path = folder / 'manifest.yaml'
    if not path.is_file():
        raise ModelError(f'{folder}: no manifest.yaml, so this is not a model folder; {remedy}')
    try:
        raw = yaml.safe_load(path.read_text(encoding='utf-8'))
        if raw['artefact_version'] != ARTEFACT_VERSION:
            raise ModelError(
                f'{path}: artefact version {raw["artefact_version"]}, this package reads '
                f'{ARTEFACT_VERSION}; {remedy}'
            )
        digest = _checked_hash(folder, raw['files'], remedy)
        return _manifest(folder, raw, digest)
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f'{path}: not a valid manifest ({error!r}); {remedy}') from error


def _checked_hash(folder: Path, files: dict[str, str], remedy: str) -> str:
    total = hashlib.sha256()
    for name, expected in sorted(files.items()):
        path = folder / name
        if not path.is_file():
            raise ModelError(f'{path}: missing, though the manifest names it; {remedy}')
        got = hashlib.sha256(path.read_bytes()).hexdigest()
        if got != expected:
            raise ModelError(f'{path}: SHA-256 {got[:12]}…, expected {expected[:12]}…; {remedy}')
        total.update(f'{name}:{got}\n'.encode())
    return total.hexdigest()


def _manifest(folder: Path, raw: dict[str, Any], digest: str) -> Manifest:
    return Manifest(
        name=str(raw['name']),
        folder=folder,
        hash=digest,
        network=str(raw['network']),
        precision=str(raw['precision']),
        image_width=int(raw['image']['width']),
        image_height=int(raw['image']['height']),
        chunk_frames=int(raw['chunk_frames']),
        grid=(int(raw['grid'][0]), int(raw['grid'][1])),
        sample_grid=(int(raw['sample_grid'][0]), int(raw['sample_grid'][1])),
        window=int(raw['window']),
        sectors=int(raw['field']['sectors']),
        appearance_features=int(raw['field']['appearance_features']),
        appearance_channels=int(raw['field']['appearance_channels']),
        geometry_features=int(raw['field']['geometry_features']),
        embedding=int(raw['embedding']),
        depth_max_m=float(raw['depth_max_m']),
        free_margin_m=float(raw['free_margin_m']),
        predicts_depth=bool(raw['predicts_depth']),
        worst_depth=float(raw.get('worst_depth', 0.0)),
        found_score=(float(raw['found_score'][0]), float(raw['found_score'][1])),
        labels=tuple(raw['labels']),
        second_look='second_look' in raw.get('graphs', {}),
        detector={key: float(value) for key, value in raw['detector'].items()},
        rule={key: float(value) for key, value in raw['field']['rule'].items()},
        backbone=raw.get('backbone', {}),
        state={name: tuple(shape) for name, shape in raw['state'].items()},
    )
