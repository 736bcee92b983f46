# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A home of one room and a tour of a turning robot, both written by hand."""

import numpy as np

from ros2_spatial_ttt.sim.catalogue import model
from ros2_spatial_ttt.sim.world import CameraRig, Home, Lamp, Room, Thing, Tour, Wall

START_NS = 1_700_000_000_000_000_000
HALF_M, TALL_M, THICK_M, EYE_M = 3.0, 2.5, 0.1, 0.8
PAINT = 'wall.paint.0'


def thing(number, category, x, y, *, z=0.0, yaw=0.0, shape=0):
    """Return a thing that stands on a height ``z``."""
    size = model(category, shape).size
    return Thing(number, category, (x, y, z + size[2] / 2), size, yaw, 0, 0, shape)


def make_home(things):
    """Return a room of 6 × 6 m around the origin."""
    side, edge = HALF_M + THICK_M / 2, 2 * HALF_M
    walls = []
    for sign in (-1.0, 1.0):
        materials = (PAINT, PAINT, '', '')
        walls.append(Wall((sign * side, 0, TALL_M / 2), (THICK_M, edge, TALL_M), materials))
        walls.append(Wall((0, sign * side, TALL_M / 2), (edge, THICK_M, TALL_M), materials[::-1]))
    corners = ((-HALF_M, -HALF_M), (HALF_M, -HALF_M), (HALF_M, HALF_M), (-HALF_M, HALF_M))
    room = Room(0, 'living room', corners, TALL_M, 'floor.wood.0', PAINT, 'ceiling.0')
    lamp = Lamp((0.0, 0.0, 2.4), (1.0, 1.0, 1.0), 0.8)
    return Home(7, (room,), tuple(walls), (), tuple(things), (lamp,))


def make_rig(name='camera', *, width=320, height=240, side=0.0):
    """Return a level camera 0.8 m above the floor that looks ``side`` rad to the left."""
    base_T_camera = np.eye(4)
    cos, sin = np.cos(side), np.sin(side)
    base_T_camera[:3, :3] = [[sin, 0.0, cos], [-cos, 0.0, sin], [0.0, -1.0, 0.0]]
    base_T_camera[2, 3] = EYE_M
    return CameraRig(name, width, height, 1.2, base_T_camera)


def make_tour(headings, *, places=None, changes=(), cameras=None, rate_hz=2.0):
    """Return a tour that has a heading (rad) and a place (x, y) in each frame."""
    count = len(headings)
    poses = np.tile(np.eye(4), (count, 1, 1))
    cos, sin = np.cos(headings), np.sin(headings)
    poses[:, 0, 0], poses[:, 0, 1], poses[:, 1, 0], poses[:, 1, 1] = cos, -sin, sin, cos
    if places is not None:
        poses[:, :2, 3] = places
    stamps_ns = START_NS + np.round(np.arange(count) * 1e9 / rate_hz).astype(np.int64)
    cameras = cameras or (make_rig(),)
    room = np.zeros(count, np.int64)
    return Tour(7, rate_hz, stamps_ns, np.round(poses, 4), room, cameras, tuple(changes))
