# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a compiled home by MuJoCo's low-level renderer: colour, depth and ids together.

``mujoco.Renderer`` takes one pass and one scene update for each of the three and finds ids with
a loop in Python; here one update serves two passes, and only what the camera may see is drawn.
"""

from __future__ import annotations

import weakref
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.paint.engine import import_mujoco, new_context
from ros2_spatial_ttt.sim.paint.scenery import FAR_M, NEAR_M, SHADE_GROUP, SOLID_GROUP, Scenery
from ros2_spatial_ttt.sim.paint.view import RoomLight, Viewable
from ros2_spatial_ttt.sim.world import Home
from ros2_spatial_ttt.types import Intrinsics

__all__ = ['Painter']

CULLED, CULLED_SHADE = 1, 5
# The sky is drawn as a box about halfway to the far plane; no home is that large.
SKY_M = 0.5 * FAR_M
# Keeps bright parts from being cut off: linear below the knee, bent towards white above it.
KNEE = 0.75


class Painter:
    """Draws one compiled home; owns an OpenGL context until it is closed or collected.

    Raises:
        RendererError: no OpenGL renderer works.
    """

    def __init__(self, scenery: Scenery, data: Any, home: Home, *, shadows: bool) -> None:
        self._mujoco = mujoco = import_mujoco()
        self._scenery, self._data = scenery, data
        self._gl = new_context(16, 16)
        self._context = mujoco.MjrContext(scenery.model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        self._finalizer = weakref.finalize(self, _free, self._gl, self._context)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._scene = mujoco.MjvScene(scenery.model, maxgeom=scenery.model.ngeom + 8)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = False
        self._options, self._camera = mujoco.MjvOption(), mujoco.MjvCamera()
        self._options.geomgroup[:] = [group in (SOLID_GROUP, SHADE_GROUP) for group in range(6)]
        self._shown_group = scenery.model.geom_group.copy()
        self._culled_group = np.where(self._shown_group == SHADE_GROUP, CULLED_SHADE, CULLED)
        self._solid = scenery.model.ngeom - scenery.shades
        self._size = (0, 0)
        self._viewable = Viewable(scenery)
        self._light = RoomLight(scenery, home)

    def close(self) -> None:
        """Free the OpenGL context."""
        self._finalizer()

    def paint(
        self, intrinsics: Intrinsics, map_T_camera: NDArray[np.float64], exposure: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]]:
        """Return colour (H, W, 3), depth (H, W) m and thing ids (H, W)."""
        mujoco, model = self._mujoco, self._scenery.model
        self._gl.make_current()
        self._resize(intrinsics.width, intrinsics.height)
        shown = self._viewable.geoms(intrinsics, map_T_camera, self._data)
        # Rays leave out the group of shades, so a culled shade must not join the other groups.
        model.geom_group[:] = np.where(shown, self._shown_group, self._culled_group)
        solid, shown_shades = shown[: self._solid], int(shown[self._solid :].sum())
        self._light.apply(model, map_T_camera[:3, 3])
        mujoco.mjv_updateScene(
            model,
            self._data,
            self._options,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        self._aim(intrinsics, map_T_camera)
        colour = self._colour_pass(intrinsics)
        self._scene.ngeom -= shown_shades
        ids, depth = self._id_pass(intrinsics, np.flatnonzero(solid))
        return cv2.LUT(colour, _tone_curve(exposure)), depth, ids

    def _resize(self, width: int, height: int) -> None:
        if self._size != (width, height):
            self._mujoco.mjr_resizeOffscreen(width, height, self._context)
            self._size = (width, height)
            self._rect = self._mujoco.MjrRect(0, 0, width, height)

    def _aim(self, intrinsics: Intrinsics, map_T_camera: NDArray[np.float64]) -> None:
        """Give both eyes of the scene the exact frustum of the pinhole."""
        left = (-0.5 - intrinsics.cx) / intrinsics.fx * NEAR_M
        right = (intrinsics.width - 0.5 - intrinsics.cx) / intrinsics.fx * NEAR_M
        top = (0.5 + intrinsics.cy) / intrinsics.fy * NEAR_M
        bottom = (intrinsics.cy - intrinsics.height + 0.5) / intrinsics.fy * NEAR_M
        for eye in self._scene.camera:
            eye.pos[:] = map_T_camera[:3, 3]
            eye.forward[:] = map_T_camera[:3, 2]
            eye.up[:] = -map_T_camera[:3, 1]
            eye.frustum_near, eye.frustum_far = NEAR_M, FAR_M
            eye.frustum_center, eye.frustum_width = (left + right) / 2, (right - left) / 2
            eye.frustum_top, eye.frustum_bottom = top, bottom

    def _colour_pass(self, intrinsics: Intrinsics) -> NDArray[np.uint8]:
        colour = np.empty((intrinsics.height, intrinsics.width, 3), np.uint8)
        self._mujoco.mjr_render(self._rect, self._scene, self._context)
        self._mujoco.mjr_readPixels(colour, None, self._rect, self._context)
        return colour[::-1]

    def _id_pass(
        self, intrinsics: Intrinsics, shown: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Draw every geom in a colour that says its number; also read the depth, without shade."""
        flags, names = self._scene.flags, self._mujoco.mjtRndFlag
        shape = (intrinsics.height, intrinsics.width)
        marks, raw = np.empty((*shape, 3), np.uint8), np.empty(shape, np.float32)
        flags[names.mjRND_SEGMENT] = flags[names.mjRND_IDCOLOR] = True
        self._mujoco.mjr_render(self._rect, self._scene, self._context)
        flags[names.mjRND_SEGMENT] = flags[names.mjRND_IDCOLOR] = False
        self._mujoco.mjr_readPixels(marks, raw, self._rect, self._context)
        number = marks[..., 0].astype(np.int32)
        number += marks[..., 1].astype(np.int32) << 8
        table = np.zeros(len(shown) + 1, np.int32)
        table[1:] = self._scenery.thing_of_geom[shown]
        return np.ascontiguousarray(table[number][::-1]), _metres(raw)[::-1].copy()


def _metres(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return depth in metres of a reversed hyperbolic depth buffer, 0 for the sky."""
    scale, near = np.float32(FAR_M - NEAR_M), np.float32(NEAR_M)
    depth = np.float32(NEAR_M * FAR_M) / (raw * scale + near)
    depth[depth > SKY_M] = 0.0
    return depth


def _free(gl: Any, context: Any) -> None:
    gl.make_current()
    context.free()
    gl.free()


def _tone_curve(exposure: float) -> NDArray[np.uint8]:
    """Return (256,) uint8: brightness times exposure, bent towards white above the knee."""
    x = np.arange(256) / 255.0 * exposure
    over = np.maximum(x - KNEE, 0.0)
    bent = KNEE + (1 - KNEE) * (1 - np.exp(-over / (1 - KNEE)))
    return np.round(np.where(x > KNEE, bent, x) * 255).astype(np.uint8)
