# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A home on the stage: rays into it, and pictures of it. Map frame, metres; optical cameras."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.paint.engine import (
    EngineError,
    RendererError,
    import_mujoco,
    require_renderer,
)
from ros2_spatial_ttt.sim.paint.painter import Painter
from ros2_spatial_ttt.sim.paint.scenery import HIDDEN_M, SHADE_GROUP, compile_home
from ros2_spatial_ttt.sim.world import Change, Home, things_at
from ros2_spatial_ttt.types import Intrinsics

__all__ = ['EngineError', 'RendererError', 'Stage', 'require_renderer']

Array = NDArray[np.float64]
# Height of the dim patch below a thing over what it stands on; rays and ids do not know it.
SHADE_M = 0.0025
RAY_GROUPS = np.array([group < SHADE_GROUP for group in range(6)], np.uint8)


class Stage:
    """One home, compiled once; every thing is a body that can be moved or hidden.

    Args:
        home: what is built. changes: what will happen in it.
        shadows: lamps throw shadows in pictures; about three times slower.
        samples: of one pixel, 0 or 4; smooth edges of colours cost half as much again.

    Raises:
        EngineError: MuJoCo is not installed.
    """

    def __init__(
        self,
        home: Home,
        changes: tuple[Change, ...] = (),
        *,
        shadows: bool = False,
        samples: int = 0,
    ) -> None:
        self._mujoco = import_mujoco()
        self._home, self._changes = home, tuple(changes)
        self._scenery = compile_home(home, self._changes, shadows=shadows, samples=samples)
        self._data = self._mujoco.MjData(self._scenery.model)
        self._painter: Painter | None = None
        self._applied = -1
        self._shadows = shadows
        self.set_time(self._changes[0].stamp_ns - 1 if self._changes else 0)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the renderer. Rays still work."""
        if self._painter is not None:
            self._painter.close()
            self._painter = None

    def set_time(self, stamp_ns: int) -> None:
        """Put everything where it is at a time; cheap when nothing changed."""
        applied = sum(change.stamp_ns <= stamp_ns for change in self._changes)
        if applied == self._applied:
            return
        self._applied = applied
        model, bodies = self._scenery.model, self._scenery.body_of_thing
        model.body_pos[1:] = (0.0, 0.0, HIDDEN_M)
        for thing in things_at(self._home, self._changes, stamp_ns):
            body = bodies[thing.id]
            model.body_pos[body] = thing.centre
            model.body_quat[body] = (np.cos(thing.yaw / 2), 0.0, 0.0, np.sin(thing.yaw / 2))
            if (shade := self._scenery.shade_of_thing.get(thing.id)) is not None:
                foot = thing.centre[2] - thing.size[2] / 2 + SHADE_M
                model.body_pos[shade] = (*thing.centre[:2], foot)
                model.body_quat[shade] = model.body_quat[body]
        self._mujoco.mj_kinematics(model, self._data)
        self._mujoco.mj_comPos(model, self._data)
        self._mujoco.mj_camlight(model, self._data)

    def cast(
        self, origin: Array, directions: Array, *, most_m: float = 20.0
    ) -> tuple[Array, NDArray[np.int64]]:
        """Send rays; needs no renderer.

        Args:
            origin: (3,) m in the map.
            directions: (n, 3), unit.
            most_m: how far they reach.

        Returns:
            Distances (n,) m, inf where nothing is hit, and thing ids (n,): 0 = structure,
            -1 = nothing.
        """
        rays = np.ascontiguousarray(directions, np.float64).reshape(-1, 3)
        geoms = np.full(len(rays), -1, np.int32)
        distances = np.full(len(rays), -1.0)
        if len(rays):
            self._mujoco.mj_multiRay(
                self._scenery.model,
                self._data,
                np.asarray(origin, np.float64).reshape(3),
                rays.ravel(),
                RAY_GROUPS,
                True,
                -1,
                geoms,
                distances,
                None,
                len(rays),
                most_m,
            )
        hit = (geoms >= 0) & (distances >= 0) & (distances <= most_m)
        ids = np.where(hit, self._scenery.thing_of_geom[geoms], -1)
        return np.where(hit, distances, np.inf), ids

    def render(
        self, intrinsics: Intrinsics, map_T_camera: Array, *, exposure: float = 1.0
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]]:
        """Take a picture through the centres of pixels, without distortion.

        Args:
            intrinsics: pinhole; its distortion is not applied.
            map_T_camera: (4, 4) optical frame in the map.
            exposure: factor on the brightness.

        Returns:
            Colour (H, W, 3) uint8 RGB; depth (H, W) float32 m along the optical axis, 0 where
            only the sky is; thing ids (H, W) int32, 0 = structure or sky.

        Raises:
            RendererError: no OpenGL renderer works on this machine.
        """
        if self._painter is None:
            self._painter = Painter(self._scenery, self._data, self._home, shadows=self._shadows)
        return self._painter.paint(intrinsics, np.asarray(map_T_camera, np.float64), exposure)
