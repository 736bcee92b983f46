# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Families of furniture: honest boxes, plausible sizes, many shapes, the same everywhere."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.catalogue import MOUNTINGS, extent, model
from ros2_spatial_ttt.sim.paint import materials
from ros2_spatial_ttt.sim.world import CATEGORIES

SHAPES = 24
# Smallest and largest edge of the box that one would believe: x, y, z in metres.
PLAUSIBLE = {
    'chair': ((0.35, 0.35, 0.7), (0.75, 0.75, 1.25)),
    'armchair': ((0.65, 0.65, 0.7), (1.05, 1.05, 1.2)),
    'stool': ((0.25, 0.25, 0.3), (0.65, 0.65, 0.85)),
    'sofa': ((0.75, 1.3, 0.65), (1.9, 2.6, 1.05)),
    'table': ((0.6, 0.8, 0.68), (1.3, 2.2, 0.82)),
    'desk': ((0.5, 0.9, 0.68), (0.9, 1.8, 0.82)),
    'coffee table': ((0.4, 0.5, 0.3), (1.1, 1.4, 0.52)),
    'nightstand': ((0.3, 0.3, 0.35), (0.55, 0.6, 0.7)),
    'bed': ((1.9, 0.8, 0.7), (2.35, 2.0, 1.4)),
    'wardrobe': ((0.45, 0.8, 1.6), (0.75, 1.9, 2.35)),
    'cabinet': ((0.3, 0.6, 0.5), (0.75, 1.9, 1.7)),
    'shelf': ((0.2, 0.5, 0.6), (0.45, 1.3, 2.2)),
    'dresser': ((0.35, 0.6, 0.6), (0.6, 1.6, 1.3)),
    'fridge': ((0.5, 0.5, 1.2), (0.85, 0.85, 2.1)),
    'oven': ((0.5, 0.5, 0.8), (0.75, 0.75, 1.15)),
    'sink': ((0.35, 0.4, 0.8), (0.75, 1.2, 1.35)),
    'washing machine': ((0.45, 0.5, 0.75), (0.75, 0.7, 0.95)),
    'toilet': ((0.55, 0.3, 0.65), (0.8, 0.5, 0.95)),
    'bathtub': ((0.6, 1.4, 0.5), (0.9, 1.9, 0.85)),
    'lamp': ((0.12, 0.12, 0.25), (0.95, 0.65, 2.0)),
    'tv': ((0.05, 0.7, 0.4), (0.3, 1.7, 1.1)),
    'monitor': ((0.1, 0.4, 0.35), (0.3, 0.9, 0.75)),
    'laptop': ((0.2, 0.25, 0.12), (0.45, 0.45, 0.35)),
    'plant': ((0.05, 0.05, 0.15), (1.3, 1.3, 1.7)),
    'bin': ((0.12, 0.12, 0.2), (0.55, 0.5, 0.75)),
    'box': ((0.18, 0.18, 0.1), (0.85, 1.0, 0.6)),
    'basket': ((0.2, 0.25, 0.15), (0.55, 0.65, 0.7)),
    'ball': ((0.08, 0.08, 0.08), (0.65, 0.65, 0.65)),
    'bottle': ((0.05, 0.05, 0.15), (0.13, 0.13, 0.4)),
    'mug': ((0.06, 0.06, 0.06), (0.15, 0.12, 0.15)),
    'book': ((0.1, 0.05, 0.01), (0.3, 0.5, 0.35)),
    'vase': ((0.06, 0.06, 0.1), (0.3, 0.3, 0.65)),
    'picture': ((0.01, 0.25, 0.25), (0.05, 1.3, 1.0)),
    'mirror': ((0.01, 0.3, 0.3), (0.06, 1.0, 1.7)),
    'door': ((0.08, 0.7, 1.9), (0.2, 1.0, 2.1)),
    'backpack': ((0.15, 0.22, 0.3), (0.35, 0.5, 0.65)),
}


@pytest.fixture(params=CATEGORIES)
def family(request):
    return [model(request.param, shape) for shape in range(SHAPES)]


def test_table_of_sizes_covers_every_category():
    assert set(PLAUSIBLE) == set(CATEGORIES)


def test_parts_fill_the_box_and_stay_inside(family):
    for one in family:
        low = np.min([np.array(p.position) - extent(p) for p in one.parts], axis=0)
        high = np.max([np.array(p.position) + extent(p) for p in one.parts], axis=0)
        np.testing.assert_allclose(high, np.array(one.size) / 2, atol=2e-4)
        np.testing.assert_allclose(low, -np.array(one.size) / 2, atol=2e-4)


def test_sizes_are_plausible(family):
    low, high = PLAUSIBLE[family[0].category]
    sizes = np.array([one.size for one in family])
    assert (sizes >= low).all() and (sizes <= high).all(), (sizes.min(0), sizes.max(0))


def test_numbers_of_parts(family):
    counts = [len(one.parts) for one in family]
    assert min(counts) >= 3 and max(counts) <= 25, counts


def test_sizes_are_rounded_to_a_tenth_of_a_millimetre(family):
    sizes = np.array([one.size for one in family])
    np.testing.assert_array_equal(sizes, np.round(sizes, 4))


def test_a_family_has_many_shapes_and_looks(family):
    assert len({one.size for one in family}) >= SHAPES // 4
    looks = {tuple((p.material, p.colour, p.size) for p in one.parts) for one in family}
    assert len(looks) == SHAPES


def test_mounting_is_told_by_the_number(family):
    choices = MOUNTINGS[family[0].category]
    assert [one.mounting for one in family] == [choices[k % len(choices)] for k in range(SHAPES)]


def test_surfaces_lie_inside_the_box_and_on_a_part(family):
    for one in family:
        for z, x0, x1, y0, y1 in one.surfaces:
            assert x0 < x1 and y0 < y1
            assert (np.abs([x0, x1]) <= one.size[0] / 2 + 1e-3).all()
            assert (np.abs([y0, y1]) <= one.size[1] / 2 + 1e-3).all()
            tops = [p.position[2] + extent(p)[2] for p in one.parts]
            assert np.min(np.abs(np.array(tops) - z)) < 2e-3


@pytest.mark.parametrize('category', ['table', 'desk'])
def test_one_can_sit_at_it(category):
    """The middle of the front edge is open up to the top, deep enough for knees."""
    for shape in range(SHAPES):
        one = model(category, shape)
        if {p.shape for p in one.parts} != {'box'}:
            continue
        knees = np.array([one.size[0] / 2 - 0.15, 0.0, 0.45 - one.size[2] / 2])
        inside = [
            (np.abs(knees - p.position) < extent(p) + (0.1, 0.15, 0.1)).all() for p in one.parts
        ]
        assert not any(inside), (category, shape)


def test_wall_things_have_their_back_in_the_plane_of_the_wall():
    for category in ('picture', 'mirror'):
        one = model(category, 1)
        assert one.mounting == 'wall' and one.size[0] < min(one.size[1:])


def test_materials_exist(family):
    for one in family:
        for part in one.parts:
            assert materials.texture(part.material).name == part.material
            assert all(0 <= c <= 1 for c in part.colour)


def digest() -> str:
    """Return a hash over the numbers of some models and over the pixels of some pictures."""
    words = repr([model(category, shape) for category in CATEGORIES for shape in (0, 7)])
    total = hashlib.sha256(words.encode())
    for name in (*materials.FLOORS, *materials.WALLS, 'painting.3', 'screen.2', 'wood.1'):
        total.update(materials.texture(name).picture.tobytes())
    return total.hexdigest()


def test_another_process_makes_the_same():
    code = f'import sys; sys.path.insert(0, {__file__.rpartition("/")[0]!r}); '
    code += 'from test_catalogue import digest; print(digest())'
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == digest()


@pytest.mark.parametrize(
    ('category', 'shape', 'words'),
    [('spaceship', 1, 'expected one of chair'), ('chair', -1, 'got -1')],
)
def test_refuses_what_it_does_not_have(category, shape, words):
    with pytest.raises(ConfigError, match=words):
        model(category, shape)


def test_floors_and_walls_are_named_and_repeat_without_a_seam():
    for name in (*materials.FLOORS, *materials.WALLS, *materials.CEILINGS):
        look = materials.texture(name)
        assert look.picture.dtype == np.uint8 and look.metres is not None
        assert 32 <= min(look.picture.shape[:2]) <= max(look.picture.shape[:2]) <= 256
    plaster = materials.texture('wall.paint.0').picture.astype(float)
    assert (
        np.abs(plaster[0] - plaster[-1]).mean() < 3 * np.abs(np.diff(plaster, axis=0)).mean() + 1
    )


def test_pictures_of_one_kind_differ():
    names = [f'painting.{k}' for k in range(12)]
    assert len({materials.texture(name).picture.tobytes() for name in names}) == 12


@pytest.mark.parametrize('name', ['gold.1', 'wood.x', ''])
def test_unknown_material(name):
    with pytest.raises(ConfigError, match='material: expected one of'):
        materials.texture(name)
