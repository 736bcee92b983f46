# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures: the raster from above by its pixels, the whole picture by what can be seen in it."""

import sys

import cv2
import numpy as np
import pytest

from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.replay import picture
from ros2_spatial_ttt.replay.cards import Shown
from ros2_spatial_ttt.replay.raster import rasterise, spacing
from ros2_spatial_ttt.types import Answer, Instance, ResultCode

RED, BLUE = (220, 20, 20), (20, 20, 220)


def sheet(x, y, z, colour, *, step=0.05):
    """Return points and colours of one square metre at height z."""
    grid = np.mgrid[x : x + 1 : step, y : y + 1 : step].reshape(2, -1).T
    points = np.column_stack([grid, np.full(len(grid), z)]).astype(np.float32)
    return points, np.tile(np.array(colour, np.uint8), (len(points), 1))


def stack(*sheets):
    return tuple(np.concatenate(parts) for parts in zip(*sheets, strict=True))


def instance(x, y, *, jpeg=b'', number=1):
    covariance = np.array([[0.04, 0.01, 0.0], [0.01, 0.02, 0.0], [0.0, 0.0, 0.01]])
    place = np.array([x, y, 0.5])
    return Instance(number, '', place, covariance, np.zeros(3), 0.9, 0, 0, 5, jpeg)


def view(points, colour, **changes):
    path = np.array([[0.2, 0.2, 1.0], [1.0, 0.5, 1.0], [1.8, 0.2, 1.0]])
    given = {'path': path, 'keyframes': np.eye(4)[None], 'tile_m': 1.0}
    return picture.MapView(points, colour, **(given | changes))


def drawn(tmp_path, shown_view):
    out = tmp_path / 'deep' / 'map.png'
    picture.draw_top_down(out, shown_view)
    assert [path.name for path in out.parent.iterdir()] == ['map.png'], 'no part is left behind'
    return cv2.imread(str(out))[..., ::-1].astype(int)


def places_of(image, colour):
    """Return the mean (row, column) of the pixels that look like ``colour``, and their share."""
    main = int(np.argmax(colour))
    others = [channel for channel in range(3) if channel != main]
    hit = (image[..., main] > 140) & (image[..., others].max(axis=-1) < 90)
    return np.argwhere(hit).mean(axis=0), hit.mean()


def test_the_higher_of_two_surfaces_is_seen_and_the_unseen_is_clear():
    points, colour = stack(
        sheet(0, 0, 0.0, RED), sheet(0.5, 0, 1.0, BLUE), sheet(0, 0.5, 2.0, RED)
    )
    image = rasterise(points, colour, np.zeros(2), np.array([3.0, 2.0]), cell_m=0.05, reach=1)
    assert image.shape == (40, 60, 4)
    assert image[5, 5, 0] > image[5, 5, 2], 'red where nothing covers it'
    assert image[5, 20, 2] > image[5, 20, 0], 'blue covers the lower red'
    assert image[15, 15, 0] > image[15, 15, 2], 'red covers the lower blue'
    assert image[30, 40, 3] == 0 and image[5, 5, 3] == 255


def test_order_of_the_points_does_not_matter():
    points, colour = stack(sheet(0, 0, 0.0, RED), sheet(0.3, 0.2, 0.4, BLUE))
    turned = np.random.default_rng(0).permutation(len(points))
    limits = np.zeros(2), np.array([2.0, 2.0])
    first = rasterise(points, colour, *limits, cell_m=0.02, reach=2)
    assert np.array_equal(
        first, rasterise(points[turned], colour[turned], *limits, cell_m=0.02, reach=2)
    )


@pytest.mark.parametrize('step', [0.02, 0.05, 0.2])
def test_the_spacing_of_points_is_found(step):
    points, _ = sheet(0, 0, 0.0, RED, step=step)
    assert spacing(points) == pytest.approx(step, rel=0.3)


def test_what_lies_left_and_up_is_drawn_left_and_up(tmp_path):
    points, colour = stack(sheet(0, 0, 0.2, RED), sheet(2, 2, 0.2, BLUE))
    image = drawn(tmp_path, view(points, colour))
    (red_row, red_column), red_share = places_of(image, RED)
    (blue_row, blue_column), blue_share = places_of(image, BLUE)
    assert red_column < blue_column and red_row > blue_row, 'x to the right, y up'
    assert red_share > 0.03 and blue_share > 0.03


def test_a_ceiling_does_not_hide_the_room(tmp_path):
    points, colour = stack(sheet(0, 0, 0.2, RED), sheet(0, 0, 2.5, BLUE), sheet(1, 1, 2.5, BLUE))
    image = drawn(tmp_path, view(points, colour))
    assert places_of(image, RED)[1] > 0.03
    assert places_of(image, BLUE)[1] < 0.003


def test_answers_get_a_mark_a_card_and_their_picture(tmp_path):
    points, colour = sheet(0, 0, 0.2, (120, 120, 120))
    green = np.zeros((60, 80, 3), np.uint8)
    green[..., 1] = 220
    jpeg = cv2.imencode('.jpg', green)[1].tobytes()
    found = instance(0.5, 0.5, jpeg=jpeg)
    answers = [
        Shown(
            'where is it?',
            Answer(ResultCode.OK, instances=(found,)),
            truth=np.array([0.6, 0.5, 0]),
        ),
        Shown(
            'how far?',
            Answer(ResultCode.OK, '', (found, instance(0.9, 0.9)), 1.2, 1.0, 1.4, unit='m'),
            line=True,
        ),
        Shown('what is here?', Answer(ResultCode.NOT_FOUND), asked_at=np.array([0.2, 0.8, 0.5])),
        Shown(
            'and there?',
            Answer(ResultCode.NEVER_OBSERVED, 'look there'),
            asked_at=np.array([4.0, 3, 1]),
        ),
        Shown('and this?', Answer(ResultCode.BAD_REQUEST, 'a sentence ' * 30)),
    ]
    plain = drawn(tmp_path, view(points, colour))
    image = drawn(tmp_path, view(points, colour, shown=answers))
    assert image.shape[1] > plain.shape[1], 'cards stand beside the map'
    (_, column), share = places_of(image, (0, 220, 0))
    assert share > 0.01 and column > plain.shape[1] * 0.8, 'the evidence is in a card'


@pytest.mark.parametrize('count', [0, 1, 3])
def test_nearly_empty_memories_are_drawn(tmp_path, count):
    points = np.zeros((count, 3), np.float32)
    colour = np.zeros((count, 3), np.uint8)
    nothing = {'path': np.zeros((0, 3)), 'keyframes': np.zeros((0, 4, 4))}
    assert drawn(tmp_path, view(points, colour, **nothing)).size
    assert drawn(tmp_path, view(points, colour)).size


def test_an_older_picture_is_replaced(tmp_path):
    first = drawn(tmp_path, view(*sheet(0, 0, 0.2, RED)))
    second = drawn(tmp_path, view(*sheet(0, 0, 0.2, BLUE)))
    assert np.abs(first - second).max() > 100


def test_without_matplotlib_the_command_to_install_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    with pytest.raises(SpatialTTTError, match=r'pip install .*viz'):
        picture.require_matplotlib()
