# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A home, a tour through it and what its cameras see: all truth that an exam is made from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim import truth
from ros2_spatial_ttt.sim.home import make_home
from ros2_spatial_ttt.sim.senses.optics import camera_poses
from ros2_spatial_ttt.sim.senses.sights import VISIBLE_PIXELS, VISIBLE_SHARE, see, visible
from ros2_spatial_ttt.sim.stage import Stage
from ros2_spatial_ttt.sim.tour import TourOptions, make_tour
from ros2_spatial_ttt.sim.world import Home, Sights, Thing, Tour, things_at

__all__ = [
    'FORMAT',
    'VISIBLE_PIXELS',
    'VISIBLE_SHARE',
    'Episode',
    'episode_of',
    'make_episode',
]

FORMAT = 'spatial_ttt truth 1'


@dataclass(frozen=True)
class Episode:
    """Truth of one tour.

    Attributes:
        home: at the begin. tour: the walk and the changes. sights: one table per camera.
    """

    home: Home
    tour: Tour
    sights: tuple[Sights, ...]

    def map_T_camera(self, camera: int = 0) -> NDArray[np.float64]:  # noqa: N802
        """Return (n, 4, 4), the true pose of a camera's optical frame in each frame."""
        return camera_poses(self.tour, camera)

    def things_at(self, stamp_ns: int) -> tuple[Thing, ...]:
        """Return what stands in the home at a time, by id."""
        return things_at(self.home, self.tour.changes, stamp_ns)

    def first_seen(self, ask_ns: int) -> dict[int, int]:
        """Return the stamp at which each thing was first visible, for those seen by ``ask_ns``.

        Visible is ``share >= VISIBLE_SHARE`` and ``pixels >= VISIBLE_PIXELS``, in any camera.
        """
        things, stamps = self._until(ask_ns)
        return dict(zip(things[::-1].tolist(), stamps[::-1].tolist(), strict=True))

    def last_seen(self, ask_ns: int) -> dict[int, int]:
        """Return the stamp at which each thing was last visible by ``ask_ns``; see first_seen."""
        things, stamps = self._until(ask_ns)
        return dict(zip(things.tolist(), stamps.tolist(), strict=True))

    def to_json(self) -> bytes:
        """Return the truth as canonical JSON; the same episode gives the same bytes."""
        end = int(self.tour.stamps_ns[-1])
        first, last = self.first_seen(end), self.last_seen(end)
        return truth.canonical(
            {
                'format': FORMAT,
                'home': truth.home_to_dict(self.home),
                'tour': truth.tour_to_dict(self.home, self.tour),
                'sights': [truth.sights_to_dict(s, len(self.tour)) for s in self.sights],
                'seen': {str(key): [first[key], last[key]] for key in first},
            }
        )

    @staticmethod
    def from_json(data: bytes) -> Episode:
        """Return the episode of ``to_json``.

        Raises:
            ConfigError: it is not such a file, or damaged.
        """
        try:
            tree = json.loads(data)
            if tree['format'] != FORMAT:
                raise ConfigError(f'truth: expected format {FORMAT!r}, got {tree["format"]!r}')
            return Episode(
                truth.home_from_dict(tree['home']),
                truth.tour_from_dict(tree['tour']),
                tuple(truth.sights_from_dict(item) for item in tree['sights']),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ConfigError(
                f'truth: expected the truth.json of a simulated home, got a file that is not or '
                f'is damaged ({type(error).__name__}: {error}); simulate it again'
            ) from error

    @cached_property
    def _seen(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Things and stamps of all sights that count as seen, in order of time."""
        kept = [visible(table) for table in self.sights]
        pairs = list(zip(self.sights, kept, strict=True))
        frames = np.concatenate([table.frame[rows] for table, rows in pairs])
        things = np.concatenate([table.thing[rows] for table, rows in pairs])
        order = np.argsort(frames, kind='stable')
        return things[order], self.tour.stamps_ns[frames[order]]

    def _until(self, ask_ns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        things, stamps = self._seen
        count = int(np.searchsorted(stamps, ask_ns, side='right'))
        return things[:count], stamps[:count]


def make_episode(
    seed: int,
    *,
    minutes: float = 5.0,
    rate_hz: float = 2.0,
    rooms: int | None = None,
    options: TourOptions | None = None,
) -> Episode:
    """Return the episode of a seed; the same on every machine. Needs MuJoCo, but no renderer.

    Args:
        seed: of home and tour, in ``TRAIN_SEEDS`` or ``EXAM_SEEDS``.
        minutes: length of the tour.
        rate_hz: frames per second of each camera.
        rooms: of the home, 1..8; None as the seed says.
        options: of the tour, cameras as well; ``minutes`` and ``rate_hz`` are then those in it.

    Raises:
        ConfigError: a number is out of range.
        EngineError: MuJoCo is not installed.
    """
    home = make_home(seed, rooms=rooms)
    return episode_of(home, make_tour(home, options or TourOptions(minutes, rate_hz)))


def episode_of(home: Home, tour: Tour) -> Episode:
    """Return the episode of a home and a tour."""
    with Stage(home, tour.changes) as stage:
        sights = tuple(see(stage, home, tour, camera) for camera in range(len(tour.cameras)))
    return Episode(home, tour, sights)
