# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Snapshots: safetensors files that are whole or refused, and never half written.

The header (safetensors metadata) carries format version, model hash, map id and a CRC-32 over all
tensors and the header itself. A file is written aside, synced and renamed over the old one.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ros2_spatial_ttt.errors import SnapshotError
from ros2_spatial_ttt.memory.budget import within_budget
from ros2_spatial_ttt.memory.evidence import EvidenceBank, Keyframe
from ros2_spatial_ttt.memory.field import GEOMETRY_CHANNELS, PackedField
from ros2_spatial_ttt.memory.lens import Lens, Statistics
from ros2_spatial_ttt.memory.places import PlaceTable
from ros2_spatial_ttt.memory.state import (
    Backbone,
    MemoryState,
    backbone_tensors,
    shared_tensors,
    tile_tensors,
)
from ros2_spatial_ttt.memory.tiles import Tile, TileIndex
from ros2_spatial_ttt.runtime.base import Manifest
from ros2_spatial_ttt.types import Intrinsics

__all__ = ['FORMAT_VERSION', 'TileShelf', 'load_state', 'save_state']

FORMAT_VERSION = 5


def save_state(
    path: Path, state: MemoryState, shelf: TileShelf, manifest: Manifest, header: dict[str, Any]
) -> int:
    """Write a snapshot and return its bytes.

    Args:
        path: of the file, replaced as one step.
        state: to be written, with the tiles on disk.
        shelf: where tiles on disk lie.
        manifest: of the model the state belongs to.
        header: 'map_id', 'tile_size_m' and 'votes', which a loading memory must share.

    Raises:
        SnapshotError: the file cannot be written.
    """
    tensors = shared_tensors(state) | backbone_tensors(state)
    tiles = [*state.tiles.values(), *(shelf.get(index) for index in sorted(state.on_disk))]
    for tile in tiles:
        name = _tile_name(tile.index)
        tensors |= {f'{name}/{key}': value for key, value in tile_tensors(tile).items()}
    keyframes = []
    for number, keyframe in enumerate(state.evidence.keyframes):
        tensors[f'keyframe/{number}/jpeg'] = np.frombuffer(keyframe.jpeg, np.uint8)
        tensors[f'keyframe/{number}/depth'] = keyframe.depth
        tensors[f'keyframe/{number}/looks'] = keyframe.looks
        tensors[f'keyframe/{number}/map_T_camera'] = keyframe.map_T_camera
        keyframes.append(_keyframe_header(keyframe))
    meta = {
        **header,
        'model_hash': manifest.hash,
        'tiles': [_tile_header(tile) for tile in tiles],
        'keyframes': keyframes,
        'cameras': [*state.backbones],
        'chunks': state.chunks,
        'newest_ns': state.newest_ns,
        'camera_width': state.camera_width,
    }
    return _write(path, tensors, meta)


def load_state(
    path: Path, manifest: Manifest, header: dict[str, Any], *, budget: int, shelf: TileShelf
) -> MemoryState:
    """Read and check a snapshot; tiles beyond ``budget`` bytes go to the shelf.

    Raises:
        SnapshotError: missing, truncated, altered, of another model, map or version.
    """
    tensors, meta = _read(path)
    if 'map_id' not in meta:
        raise SnapshotError(f'{path}: this is one tile, not a snapshot; choose another file')
    if meta['model_hash'] != manifest.hash:
        raise SnapshotError(
            f'{path}: written by a model with hash {meta["model_hash"][:12]}…, this one has '
            f'{manifest.hash[:12]}…; load it with that model, or build the memory anew'
        )
    for key, expected in header.items():
        if meta[key] != expected:
            raise SnapshotError(
                f'{path}: {key} is {meta[key]!r}, this memory has {expected!r}; '
                f'set the parameter to match or choose another snapshot',
                map_mismatch=key == 'map_id',
            )
    tiles = [shelf.tile_of(tensors, header, path) for header in meta['tiles']]
    kept = within_budget({tile.index: tile for tile in tiles}, budget, spill=shelf.enabled)
    state = MemoryState(
        statistics=Statistics(
            float(tensors['statistics/count'][0]),
            tensors['statistics/total'],
            tensors['statistics/outer'],
        ),
        lens=Lens(tensors['lens/mean'], tensors['lens/matrix'], float(tensors['lens/count'][0])),
        tiles=MappingProxyType(kept.tiles),
        on_disk=frozenset(tile.index for tile in kept.spilled),
        evidence=EvidenceBank(tuple(_keyframes(tensors, meta['keyframes']))),
        backbones=_backbones(tensors, meta['cameras'], manifest, path),
        chunks=meta['chunks'],
        newest_ns=meta['newest_ns'],
        camera_width=meta['camera_width'],
        forgotten_tiles=kept.lost_tiles,
        forgotten_looks=kept.lost_looks,
    )
    for tile in kept.spilled:
        shelf.put(tile)
    return state


class TileShelf:
    """Tiles on disk, one file each, in a directory; '' means there is none.

    Args:
        directory: where they go.
        manifest: gives the shapes of the fields.
        votes: an empty vote field, for its shapes.
    """

    def __init__(self, directory: str, manifest: Manifest, votes: PackedField) -> None:
        self.enabled = bool(directory)
        self._directory = Path(directory).expanduser() if directory else Path()
        self._manifest = manifest
        self._votes = votes
        self._geometry = PackedField.empty(manifest.geometry_features, GEOMETRY_CHANNELS, 1.0)
        self._appearance = PackedField.empty(
            manifest.appearance_features, manifest.appearance_channels, 1.0
        )
        if self.enabled:
            try:
                self._directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SnapshotError(
                    f'tile directory {self._directory}: cannot be made ({error}); '
                    'set tiles.directory to a folder that can be written'
                ) from error

    def put(self, tile: Tile) -> None:
        """Write a tile, replacing the file of its index; without a directory do nothing."""
        if self.enabled:
            name = _tile_name(tile.index)
            tensors = {f'{name}/{key}': value for key, value in tile_tensors(tile).items()}
            meta = {'model_hash': self._manifest.hash, 'tiles': [_tile_header(tile)]}
            _write(self._path(tile.index), tensors, meta)

    def get(self, index: TileIndex) -> Tile:
        """Read a tile back."""
        tensors, meta = _read(self._path(index))
        return self.tile_of(tensors, meta['tiles'][0], self._path(index))

    def clear(self, *, keep: Collection[TileIndex]) -> None:
        """Delete all tiles but those of the indices ``keep``."""
        if self.enabled:
            kept = {self._path(index) for index in keep}
            for path in set(self._directory.glob('tile_*.safetensors')) - kept:
                path.unlink(missing_ok=True)

    def tile_of(self, tensors: dict[str, NDArray], header: list[Any], path: Path) -> Tile:
        """Return the tile of a header (``_tile_header``) from the tensors of a file.

        Raises:
            SnapshotError: a tensor is missing, of the wrong shape or not finite.
        """
        x, y, z, used, sectors = header
        index: TileIndex = (x, y, z)
        prefix = _tile_name(index) + '/'
        own = {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
        measured = any(name.startswith('geometry/') for name in own)
        voted = any(name.startswith('votes/') for name in own)
        looks = {s: _field_of(own, f'appearance/{s}', self._appearance, path) for s in sectors}
        return Tile(
            index=index,
            used=used,
            geometry=_field_of(own, 'geometry', self._geometry, path) if measured else None,
            appearance=MappingProxyType(looks),
            places=_places_of(own, 'places'),
            votes=_field_of(own, 'votes', self._votes, path) if voted else None,
            vote_places=_places_of(own, 'vote_places') if voted else PlaceTable.empty(),
        )

    def _path(self, index: TileIndex) -> Path:
        return self._directory / f'tile_{"_".join(map(str, index))}.safetensors'


def _tile_header(tile: Tile) -> list[Any]:
    """Return x, y, z of a tile, when it was written, and its sectors, the newest last."""
    return [*tile.index, tile.used, [*tile.appearance]]


def _tile_name(index: TileIndex) -> str:
    return 'tile/' + '_'.join(map(str, index))


def _write(path: Path, tensors: dict[str, NDArray], meta: dict[str, Any]) -> int:
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    text = json.dumps({**meta, 'format_version': FORMAT_VERSION}, sort_keys=True)
    metadata = {'spatial_ttt': text, 'crc32': str(_checksum(tensors, text))}
    aside = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        _drop_leftovers(path)
        save_file(tensors, aside, metadata)
        descriptor = os.open(aside, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        size = aside.stat().st_size
        os.replace(aside, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise SnapshotError(
            f'{path}: cannot be written ({error}); check that the folder exists, may be written '
            'to and has room'
        ) from error
    return size


def _drop_leftovers(path: Path) -> None:
    """Remove what a process that was killed while writing this file left behind."""
    for leftover in path.parent.glob(f'.{path.name}.*.partial'):
        leftover.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, NDArray], dict[str, Any]]:
    remedy = 'it is not a snapshot of this package or was damaged; choose another one'
    if not path.is_file():
        raise SnapshotError(f'{path}: no such file; save a snapshot first or check the name')
    try:
        with safe_open(path, framework='numpy') as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = metadata['spatial_ttt']
        meta = json.loads(text)
        version = meta['format_version']
        expected = int(metadata['crc32'])
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise SnapshotError(f'{path}: cannot be read ({error}); {remedy}') from error
    if version != FORMAT_VERSION:
        raise SnapshotError(
            f'{path}: snapshot version {version}, this package reads {FORMAT_VERSION}; '
            'update the package, or build the memory anew'
        )
    if _checksum(tensors, text) != expected:
        raise SnapshotError(f'{path}: the checksum does not match its content; {remedy}')
    return tensors, meta


def _checksum(tensors: Mapping[str, NDArray], text: str) -> int:
    crc = zlib.crc32(text.encode())
    for name in sorted(tensors):
        layout = f'{name} {tensors[name].dtype} {tensors[name].shape}'
        crc = zlib.crc32(layout.encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8).data, crc)
    return crc


def _places_of(tensors: dict[str, NDArray], label: str) -> PlaceTable:
    return PlaceTable(**{name: tensors[f'{label}/{name}'] for name in PlaceTable.empty().arrays()})


def _field_of(
    tensors: dict[str, NDArray], label: str, template: PackedField, path: Path
) -> PackedField:
    return PackedField(
        **{
            name: _checked(tensors, f'{label}/{name}', expected.shape, path)
            for name, expected in template.tensors().items()
        }
    )


def _backbones(
    tensors: dict[str, NDArray], cameras: list[str], manifest: Manifest, path: Path
) -> MappingProxyType[str, Backbone]:
    """Return the backbone's state of each camera, checked."""
    return MappingProxyType(
        {
            camera: {
                name: _checked(tensors, f'backbone/{number}/{name}', shape, path)
                for name, shape in manifest.state.items()
            }
            for number, camera in enumerate(cameras)
        }
    )


def _checked(
    tensors: dict[str, NDArray], name: str, shape: tuple[int, ...], path: Path
) -> NDArray:
    got = tensors.get(name)
    if got is None or got.shape != shape:
        found = 'missing' if got is None else got.shape
        raise SnapshotError(f'{path}: {name} is {found}, expected {shape}')
    if not np.isfinite(got).all():
        raise SnapshotError(f'{path}: {name} holds numbers that are not finite')
    return got


def _keyframe_header(keyframe: Keyframe) -> dict[str, Any]:
    k = keyframe.intrinsics
    return {
        'camera': keyframe.camera,
        'stamp_ns': keyframe.stamp_ns,
        'intrinsics': [k.width, k.height, k.fx, k.fy, k.cx, k.cy, list(k.distortion), k.model],
    }


def _keyframes(tensors: dict[str, NDArray], headers: list[dict[str, Any]]) -> list[Keyframe]:
    out = []
    for number, header in enumerate(headers):
        width, height, fx, fy, cx, cy, distortion, model = header['intrinsics']
        out.append(
            Keyframe(
                camera=header['camera'],
                stamp_ns=header['stamp_ns'],
                map_T_camera=tensors[f'keyframe/{number}/map_T_camera'],
                jpeg=tensors[f'keyframe/{number}/jpeg'].tobytes(),
                depth=tensors[f'keyframe/{number}/depth'],
                looks=tensors[f'keyframe/{number}/looks'],
                intrinsics=Intrinsics(width, height, fx, fy, cx, cy, tuple(distortion), model),
            )
        )
    return out
