# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The stage: rays, pictures and ids agree, changes move things, no renderer says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.sim.catalogue import model
from ros2_spatial_ttt.sim.paint.shell import rectangles
from ros2_spatial_ttt.sim.world import Change, Home, Lamp, Opening, Room, Thing, Wall
from ros2_spatial_ttt.types import Intrinsics

pytest.importorskip('mujoco')

from ros2_spatial_ttt.sim.stage import RendererError, Stage  # noqa: E402

HIGH, LONG, WIDE = 2.5, 5.0, 4.0
PAINT = 'wall.paint.0'
# Off-centre on purpose: a wrong principal point must show.
CAMERA = Intrinsics(160, 120, 118.0, 121.0, 84.5, 55.25)


def put(number, category, shape, x, y, yaw=0.0, z=0.0) -> Thing:
    size = model(category, shape).size
    return Thing(number, category, (x, y, z + size[2] / 2), size, yaw, 0, 0, shape)


def wall(low, high, side) -> Wall:
    low, high = np.array(low), np.array(high)
    skins = tuple(PAINT if k == side else '' for k in range(4))
    return Wall(tuple((low + high) / 2), tuple(high - low), skins)


def home(*things: Thing) -> Home:
    """Return one room of 5 m × 4 m with a window at x = 5."""
    room = Room(
        0,
        'office',
        ((0, 0), (LONG, 0), (LONG, WIDE), (0, WIDE)),
        HIGH,
        'floor.wood.0',
        PAINT,
        'ceiling.0',
    )
    t = 0.1
    walls = (
        wall((-t, -t, 0), (0, WIDE + t, HIGH), 1),
        wall((LONG, -t, 0), (LONG + t, 1, HIGH), 0),
        wall((LONG, 3, 0), (LONG + t, WIDE + t, HIGH), 0),
        wall((LONG, 1, 0), (LONG + t, 3, 0.9), 0),
        wall((LONG, 1, 2.1), (LONG + t, 3, HIGH), 0),
        wall((0, -t, 0), (LONG, 0, HIGH), 3),
        wall((0, WIDE, 0), (LONG, WIDE + t, HIGH), 2),
    )
    window = Opening('window', (0, -1), (LONG + t / 2, 2.0, 1.5), (t, 2.0, 1.2))
    lamp = Lamp((2.5, 2.0, 2.4), (1.0, 0.95, 0.9), 1.0)
    return Home(3, (room,), walls, (window,), things, (lamp,))


def look(eye, target) -> np.ndarray:
    """Return map_T_camera, optical, of an upright camera."""
    eye = np.array(eye, float)
    forward = np.array(target, float) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(forward, right), forward, eye], axis=1)
    return pose


def rays(camera: Intrinsics, pose) -> tuple[np.ndarray, np.ndarray]:
    """Return unit directions (h·w, 3) in the map through centres of pixels, and their lengths."""
    v, u = np.mgrid[: camera.height, : camera.width]
    local = np.stack(
        [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], -1
    )
    length = np.linalg.norm(local, axis=-1, keepdims=True)
    return (local / length).reshape(-1, 3) @ pose[:3, :3].T, length[..., 0]


THINGS = (
    put(1, 'table', 0, 2.6, 2.2, 0.3),
    put(2, 'sofa', 1, 2.0, 3.5, -1.57),
    put(3, 'chair', 4, 3.4, 1.6, 2.0),
    put(4, 'fridge', 2, 4.5, 0.5, 1.57),
)


@pytest.fixture(scope='module')
def stage():
    with Stage(home(*THINGS)) as one:
        yield one


def test_rays_find_walls_floor_and_things():
    with Stage(home(put(7, 'box', 3, 2.0, 2.0))) as stage:
        rays = np.array([[-1.0, 0, 0], [0, -1, 0], [0, 0, -1], [0, 0, 1]])
        distance, ids = stage.cast((0.5, 1.0, 1.2), rays)
        np.testing.assert_allclose(distance, [0.5, 1.0, 1.2, HIGH - 1.2], atol=1e-3)
        assert ids.tolist() == [0, 0, 0, 0]
        distance, ids = stage.cast((2.0, 2.0, 2.0), np.array([[0.0, 0, -1]]))
        assert ids.tolist() == [7]
        assert distance[0] == pytest.approx(2.0 - model('box', 3).size[2], abs=0.05)


def test_rays_through_the_window_hit_nothing(stage):
    distance, ids = stage.cast((3.5, 2.3, 1.5), np.array([[1.0, 0, 0]]))
    assert np.isinf(distance[0]) and ids.tolist() == [-1]


def test_rays_end_at_most_m(stage):
    towards = np.array([[-1.0, 0, 0]])
    assert np.isinf(stage.cast((0.9, 0.3, 2.0), towards, most_m=0.5)[0][0])
    assert stage.cast((0.9, 0.3, 2.0), towards, most_m=1.0)[0][0] == pytest.approx(0.9, abs=1e-3)


def test_no_rays(stage):
    distance, ids = stage.cast((1, 1, 1), np.zeros((0, 3)))
    assert distance.shape == ids.shape == (0,)


def test_changes_move_remove_and_add():
    ball, moved = put(1, 'ball', 1, 1.0, 1.0), put(1, 'ball', 1, 3.0, 2.0)
    bin_, late = put(2, 'bin', 1, 2.0, 3.0), put(3, 'box', 1, 4.0, 1.0)
    changes = (
        Change(10, 'moved', 1, moved),
        Change(20, 'removed', 2, None),
        Change(30, 'added', 3, late),
    )

    def under(stage, x, y) -> int:
        return int(stage.cast((x, y, 2.4), np.array([[0.0, 0, -1]]))[1][0])

    with Stage(home(ball, bin_), changes) as stage:
        places = ((1.0, 1.0), (3.0, 2.0), (2.0, 3.0), (4.0, 1.0))
        expected = {5: [1, 0, 2, 0], 10: [0, 1, 2, 0], 29: [0, 1, 0, 0], 30: [0, 1, 0, 3]}
        for stamp in (5, 10, 29, 30, 5):
            stage.set_time(stamp)
            assert [under(stage, *place) for place in places] == expected[stamp], stamp


def test_starts_before_the_first_change():
    change = Change(0, 'removed', 1, None)
    with Stage(home(put(1, 'bin', 1, 2.0, 2.0)), (change,)) as stage:
        assert stage.cast((2.0, 2.0, 2.4), np.array([[0.0, 0, -1]]))[1].tolist() == [1]


def test_things_turn_with_yaw():
    sofa = put(1, 'sofa', 1, 2.5, 2.0)
    assert sofa.size[1] > 1.3
    for yaw, expected in ((0.0, [1, 0]), (np.pi / 2, [0, 1])):
        with Stage(home(replace(sofa, yaw=yaw))) as stage:
            starts = ((2.5, 2.0 + 0.45 * sofa.size[1], 2.4), (2.5 + 0.45 * sofa.size[1], 2.0, 2.4))
            down = np.array([[0.0, 0, -1]])
            assert [int(stage.cast(start, down)[1][0]) for start in starts] == expected


@pytest.mark.parametrize(
    ('polygon', 'area'),
    [
        (((0, 0), (4, 0), (4, 3), (0, 3)), 12.0),
        (((0, 0), (4, 0), (4, 1), (2, 1), (2, 3), (0, 3)), 8.0),
        (((0, 0), (1, 0), (1, 2), (3, 2), (3, 0), (4, 0), (4, 3), (0, 3)), 8.0),
    ],
)
def test_rectangles_fill_a_polygon(polygon, area):
    parts = rectangles(polygon)
    assert sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in parts) == pytest.approx(area)


@pytest.mark.sim
class TestPictures:
    def test_depth_and_ids_agree_with_rays(self, stage, renderer):
        for eye, target in (((0.5, 0.5, 1.3), (3, 3, 0.6)), ((1.0, 3.0, 1.6), (4.5, 1.5, 0.8))):
            pose = look(eye, target)
            _, depth, ids = stage.render(CAMERA, pose)
            towards, length = rays(CAMERA, pose)
            distance, hit = stage.cast(pose[:3, 3], towards)
            expected = distance.reshape(length.shape) / length
            expected[~np.isfinite(expected)] = 0.0
            # Round parts are drawn as prisms, and edges fall on either side of a pixel's centre.
            assert (np.maximum(hit, 0).reshape(ids.shape) == ids).mean() > 0.998
            error = np.abs(expected - depth)
            assert np.quantile(error, 0.97) < 2e-3
            assert np.quantile(error, 0.5) < 2e-4
            assert set(np.unique(ids)) >= {0, 1}

    def test_a_shifted_principal_point_would_be_noticed(self, stage, renderer):
        pose = look((0.5, 0.5, 1.3), (3, 3, 0.6))
        _, _, ids = stage.render(CAMERA, pose)
        towards, _ = rays(replace(CAMERA, cx=CAMERA.cx + 0.5, cy=CAMERA.cy - 0.5), pose)
        hit = np.maximum(stage.cast(pose[:3, 3], towards)[1], 0).reshape(ids.shape)
        assert (hit == ids).mean() < 0.998

    def test_rays_after_a_picture_are_those_before(self, stage, renderer):
        pose = look((0.6, 3.4, 1.5), (4, 1, 0.2))
        towards, _ = rays(CAMERA, pose)
        before = stage.cast(pose[:3, 3], towards)
        stage.render(CAMERA, look((2, 2, 1.5), (2, 4, 1.5)))
        after = stage.cast(pose[:3, 3], towards)
        np.testing.assert_array_equal(before[0], after[0])
        np.testing.assert_array_equal(before[1], after[1])

    def test_shapes_and_types(self, stage, renderer):
        for width, height in ((160, 120), (90, 70), (320, 240)):
            camera = Intrinsics(width, height, 100.0, 100.0, width / 2, height / 2)
            colour, depth, ids = stage.render(camera, look((1, 1, 1.5), (4, 3, 1)))
            assert colour.shape == (height, width, 3) and colour.dtype == np.uint8
            assert depth.shape == ids.shape == (height, width)
            assert depth.dtype == np.float32 and ids.dtype == np.int32

    def test_the_sky_has_no_depth(self, stage, renderer):
        pose = look((3.2, 2.3, 1.5), (5.0, 2.35, 1.5))
        colour, depth, ids = stage.render(CAMERA, pose)
        centre = (slice(50, 60), slice(80, 90))
        assert (depth[centre] == 0).all() and (ids[centre] == 0).all()
        assert colour[centre].mean() > 40

    def test_the_same_picture_twice(self, stage, renderer):
        pose = look((0.5, 0.5, 1.3), (3, 3, 0.6))
        first = stage.render(CAMERA, pose)
        stage.render(CAMERA, look((4, 3, 1.3), (1, 1, 0.6)))
        for a, b in zip(first, stage.render(CAMERA, pose), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_exposure_brightens(self, stage, renderer):
        pose = look((0.5, 0.5, 1.3), (3, 3, 0.6))
        dark, usual, bright = (
            stage.render(CAMERA, pose, exposure=e)[0].mean() for e in (0.5, 1.0, 1.6)
        )
        assert dark < 0.6 * usual < usual < bright

    def test_smooth_edges_leave_depth_and_ids_sharp(self, stage, renderer):
        pose = look((0.5, 0.5, 1.3), (3, 3, 0.6))
        _, depth, ids = stage.render(CAMERA, pose)
        with Stage(home(*THINGS), samples=4) as smooth:
            _, other_depth, other_ids = smooth.render(CAMERA, pose)
        assert (ids == other_ids).mean() > 0.998
        assert np.quantile(np.abs(depth - other_depth), 0.99) < 1e-3

    def test_shadows_darken(self, renderer):
        pose = look((0.5, 0.5, 1.8), (3, 3, 0.0))
        pictures = []
        for shadows in (False, True):
            with Stage(home(*THINGS), shadows=shadows) as stage:
                pictures.append(stage.render(CAMERA, pose)[0].astype(float))
        assert (pictures[0] - pictures[1] > 10).mean() > 0.005

    def test_a_removed_thing_is_not_in_the_picture(self, renderer):
        change = Change(100, 'removed', 1, None)
        with Stage(home(THINGS[0]), (change,)) as stage:
            pose = look((0.5, 0.5, 1.3), (3, 3, 0.6))
            assert 1 in stage.render(CAMERA, pose)[2]
            stage.set_time(100)
            assert set(np.unique(stage.render(CAMERA, pose)[2])) == {0}

    def test_rays_work_after_close(self, renderer):
        stage = Stage(home(*THINGS))
        stage.render(CAMERA, look((1, 1, 1.5), (4, 3, 1)))
        stage.close()
        assert stage.cast((0.5, 1.0, 1.2), np.array([[-1.0, 0, 0]]))[1].tolist() == [0]


SCRIPT = """
import sys; sys.path.insert(0, {folder!r})
import numpy as np
from ros2_spatial_ttt.sim.paint.engine import import_mujoco
import_mujoco()
from test_stage import CAMERA, THINGS, home, look
from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.sim.stage import Stage
stage = Stage(home(*THINGS))
print(stage.cast((0.5, 1.0, 1.2), np.array([[-1.0, 0, 0]]))[1].tolist())
try:
    stage.render(CAMERA, look((1, 1, 1.5), (4, 3, 1)))
    print('rendered')
except SpatialTTTError as error:
    print(type(error).__name__, error)
"""


def run_script(**environment: str) -> tuple[list[str], str]:
    code = SCRIPT.format(folder=os.path.dirname(__file__))
    out = subprocess.run(
        [sys.executable, '-W', 'error', '-c', code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.returncode == 0, out.stderr
    return out.stdout.splitlines(), out.stderr


def test_a_renderer_that_does_not_exist_is_refused_but_rays_work():
    lines, _ = run_script(MUJOCO_GL='crystal')
    assert lines[0] == '[0]'
    assert lines[1] == "RendererError MUJOCO_GL: expected egl or osmesa, or not set; got 'crystal'"


def test_a_renderer_that_does_not_work_says_what_to_install(tmp_path):
    """An OpenGL module that cannot be loaded stands for a machine without any renderer."""
    (tmp_path / 'OpenGL.py').write_text("raise ImportError('no OpenGL library here')")
    path = f'{tmp_path}:{os.environ.get("PYTHONPATH", "")}'
    lines, _ = run_script(PYTHONPATH=path, MUJOCO_GL='')
    assert lines[0] == '[0]'
    assert lines[1].startswith('RendererError no OpenGL renderer works here')
    assert 'apt install libosmesa6' in lines[1] and 'EGL' in lines[1]


def test_without_mujoco_the_extra_is_named(tmp_path):
    (tmp_path / 'mujoco.py').write_text("raise ModuleNotFoundError('no mujoco', name='mujoco')")
    path = f'{tmp_path}:{os.environ.get("PYTHONPATH", "")}'
    code = (
        'from ros2_spatial_ttt.sim.paint.engine import import_mujoco, EngineError\n'
        'try: import_mujoco()\nexcept EngineError as error: print(error)'
    )
    out = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'pip install "ros2-spatial-ttt[sim]"' in out.stdout
    assert issubclass(RendererError, SpatialTTTError)


@pytest.mark.sim
def test_a_stage_that_is_not_closed_ends_quietly(renderer):
    lines, errors = run_script(MUJOCO_GL=renderer)
    assert lines == ['[0]', 'rendered'] and errors == ''
