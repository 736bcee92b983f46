# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Truth as JSON: canonical bytes, and back. The fields are explained in docs/SIMULATION.md.

Long tables are columns; a column that never changes is one number. Floats are the shortest text
that reads back as the same number, so nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.world import (
    CameraRig,
    Change,
    Home,
    Lamp,
    Opening,
    Room,
    Sights,
    Thing,
    Tour,
    Wall,
    things_at,
)

__all__ = [
    'canonical',
    'changes_to_dict',
    'home_from_dict',
    'home_to_dict',
    'sights_from_dict',
    'sights_to_dict',
    'tour_from_dict',
    'tour_to_dict',
]

Plain = dict[str, Any]


def canonical(value: Any) -> bytes:
    """Return the one JSON text of a value: sorted keys, no spaces, UTF-8, a newline at the end."""
    text = json.dumps(
        value, sort_keys=True, separators=(',', ':'), ensure_ascii=False, allow_nan=False
    )
    return text.encode() + b'\n'


def home_to_dict(home: Home) -> Plain:
    """Return a home as JSON values."""
    return _plain(asdict(home))


def home_from_dict(data: Mapping[str, Any]) -> Home:
    """Return the home of ``home_to_dict``."""
    kinds = {'rooms': Room, 'walls': Wall, 'openings': Opening, 'things': Thing, 'lamps': Lamp}
    parts = {
        name: tuple(_built(kind, item) for item in data[name]) for name, kind in kinds.items()
    }
    return Home(seed=data['seed'], **parts)


def changes_to_dict(home: Home, changes: tuple[Change, ...]) -> list[Plain]:
    """Return the change log as JSON values, each with the thing as it stood ``before``."""
    log = []
    for change in changes:
        standing = {t.id: t for t in things_at(home, changes, change.stamp_ns - 1)}
        before = standing.get(change.thing)
        log.append(_plain({**asdict(change), 'before': asdict(before) if before else None}))
    return log


def tour_to_dict(home: Home, tour: Tour) -> Plain:
    """Return a tour as JSON values."""
    poses = tour.map_T_base[:, :3, :].reshape(len(tour), 12)
    return {
        'seed': int(tour.seed),
        'rate_hz': _number(tour.rate_hz),
        'stamps_ns': tour.stamps_ns.tolist(),
        'map_T_base': [_column(poses[:, index]) for index in range(12)],
        'room': tour.room.tolist(),
        'cameras': [_plain(asdict(rig)) for rig in tour.cameras],
        'changes': changes_to_dict(home, tour.changes),
    }


def tour_from_dict(data: Mapping[str, Any]) -> Tour:
    """Return the tour of ``tour_to_dict``."""
    stamps_ns = np.array(data['stamps_ns'], np.int64)
    poses = np.tile(np.eye(4), (len(stamps_ns), 1, 1))
    for index, column in enumerate(data['map_T_base']):
        poses[:, index // 4, index % 4] = column
    return Tour(
        seed=data['seed'],
        rate_hz=data['rate_hz'],
        stamps_ns=stamps_ns,
        map_T_base=poses,
        room=np.array(data['room'], np.int64),
        cameras=tuple(
            CameraRig(**{**rig, 'base_T_camera': np.array(rig['base_T_camera'], np.float64)})
            for rig in data['cameras']
        ),
        changes=tuple(
            Change(c['stamp_ns'], c['kind'], c['thing'], c['now'] and _built(Thing, c['now']))
            for c in data['changes']
        ),
    )


def sights_to_dict(sights: Sights, frames: int) -> Plain:
    """Return what one camera saw as JSON values; ``count`` is the number of rows of each frame."""
    return {
        'count': np.bincount(sights.frame, minlength=frames).tolist(),
        'thing': sights.thing.tolist(),
        'share': [round(value, 4) for value in sights.share.tolist()],
        'distance': [round(value, 4) for value in sights.distance.tolist()],
        'pixels': sights.pixels.tolist(),
        'centred': sights.centred.astype(int).tolist(),
    }


def sights_from_dict(data: Mapping[str, Any]) -> Sights:
    """Return the table of ``sights_to_dict``."""
    return Sights(
        frame=np.repeat(np.arange(len(data['count']), dtype=np.int64), data['count']),
        thing=np.array(data['thing'], np.int64),
        share=np.array(data['share'], np.float32),
        distance=np.array(data['distance'], np.float32),
        pixels=np.array(data['pixels'], np.int32),
        centred=np.array(data['centred'], np.bool_),
    )


def _column(values: NDArray[np.float64]) -> float | list[float]:
    """Return a column, or its one number where it never changes; no minus before a zero."""
    values = values + 0.0
    same = bool(len(values)) and bool((values == values[0]).all())
    return float(values[0]) if same else values.tolist()


def _plain(value: Any) -> Any:
    """Return nested tuples, arrays and numpy numbers as JSON values."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return _number(value)
    return int(value) if isinstance(value, np.integer) else value


def _number(value: float) -> float:
    return float(value) + 0.0


def _built(kind: type, data: Mapping[str, Any]) -> Any:
    """Return a dataclass of plain values; its lists are tuples."""
    return kind(**{key: _tuples(value) for key, value in data.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
