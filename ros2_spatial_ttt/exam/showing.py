# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What systems are shown of a tour: rendered frames, or what a detector says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ros2_spatial_ttt.geometry import message_quaternion, transform
from ros2_spatial_ttt.sim.episode import Episode
from ros2_spatial_ttt.sim.percepts import NOISY, PERFECT, percepts
from ros2_spatial_ttt.sim.sensor import CLEAN, SensorConfig
from ros2_spatial_ttt.types import Frame, Percept

__all__ = ['shown']

NOISE = {'oracle': PERFECT, 'noisy': NOISY}


def shown(
    episode: Episode, perception: str, *, sensor: SensorConfig = CLEAN, depth: bool = True
) -> Iterator[Percept | Frame]:
    """Yield what a tour shows, in order of time.

    Args:
        episode: the tour.
        perception: 'oracle' and 'noisy' give percepts, 'model' frames.
        sensor: faults of camera and localisation.
        depth: whether frames carry it.
    """
    if perception != 'model':
        yield from percepts(episode, noise=NOISE[perception], sensor=sensor)
        return
    from ros2_spatial_ttt.sim.stream import frames_of

    for item in frames_of(episode.home, episode.tour, sensor=sensor):
        yield _as_sent(item.frame, depth=depth)


def _as_sent(frame: Frame, *, depth: bool) -> Frame:
    """Return the frame with its pose as a message holds it, so that --via ros sees the same."""
    pose = frame.map_T_camera
    sent = transform(pose[:3, 3], message_quaternion(pose[:3, :3]))
    return replace(frame, map_T_camera=sent, depth=frame.depth if depth else None)
