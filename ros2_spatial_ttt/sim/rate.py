# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""How many colour, depth and id frames per second this machine renders of a simulated home."""

from __future__ import annotations

import multiprocessing
import time

import numpy as np

from ros2_spatial_ttt.sim.home import make_home
from ros2_spatial_ttt.sim.paint.engine import require_renderer
from ros2_spatial_ttt.sim.stage import Stage
from ros2_spatial_ttt.sim.tour import TourOptions, make_tour
from ros2_spatial_ttt.types import Intrinsics

__all__ = ['render_rate']

SEED = 11


def render_rate(
    processes: int = 1, *, seconds: float = 4.0, width: int = 320, height: int = 240
) -> float:
    """Return frames per second of all processes together, along a tour of a home of six rooms.

    Raises:
        RendererError: no OpenGL renderer works on this machine.
    """
    require_renderer()
    job = (seconds, width, height)
    if processes == 1:
        return _walk(job)
    with multiprocessing.get_context('spawn').Pool(processes) as pool:
        return float(sum(pool.map(_walk, [job] * processes, chunksize=1)))


def _walk(job: tuple[float, int, int]) -> float:
    seconds, width, height = job
    home = make_home(SEED, rooms=6)
    tour = make_tour(home, TourOptions(changes=0))
    rig = tour.cameras[0]
    focal = width / 2 / np.tan(rig.hfov / 2)
    intrinsics = Intrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
    poses = tour.map_T_base @ rig.base_T_camera
    with Stage(home, tour.changes) as stage:
        stage.render(intrinsics, poses[0])
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            at = count * 7 % len(poses)
            stage.set_time(int(tour.stamps_ns[at]))
            stage.render(intrinsics, poses[at])
            count += 1
        return count / (time.perf_counter() - start)
