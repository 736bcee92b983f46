# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms: identities that hold for every rotation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ros2_spatial_ttt import geometry as g

numbers = st.floats(-1.0, 1.0, allow_nan=False)
quaternions = st.tuples(numbers, numbers, numbers, numbers).filter(
    lambda q: np.linalg.norm(q) > 0.1
)
vectors = st.tuples(*[st.floats(-50.0, 50.0, allow_nan=False)] * 3)
shares = st.floats(0.0, 1.0)


@given(quaternions)
def test_a_quaternion_survives_the_round_trip_up_to_sign(q):
    unit = np.array(q) / np.linalg.norm(q)
    back = g.quaternion_from_matrix(g.matrix_from_quaternion(q))
    assert back[3] >= 0
    assert abs(abs(back @ unit) - 1.0) < 1e-9


@given(quaternions)
def test_a_matrix_of_a_quaternion_is_a_rotation(q):
    rotation = g.matrix_from_quaternion(q)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


@pytest.mark.parametrize('axis', [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0.8, 0)])
def test_half_turns_are_stable(axis):
    back = g.quaternion_from_matrix(g.matrix_from_quaternion((*axis, 0.0)))
    assert abs(abs(back @ (*axis, 0.0)) - 1.0) < 1e-9


def test_a_quarter_turn_about_z_takes_x_to_y():
    rotation = g.matrix_from_quaternion((0, 0, np.sqrt(0.5), np.sqrt(0.5)))
    assert np.allclose(rotation @ (1, 0, 0), (0, 1, 0))


@pytest.mark.parametrize(
    'q', [(0, 0, 0, 0), (np.nan, 0, 0, 1), (np.inf, 0, 0, 1), (0, 0, 1), [[0, 0, 0, 1]]]
)
def test_what_is_no_quaternion_is_refused(q):
    with pytest.raises(ValueError, match='quaternion must be'):
        g.matrix_from_quaternion(q)


@given(vectors, quaternions, vectors)
def test_a_transform_and_its_inverse_cancel(translation, q, point):
    a_T_b = g.transform(translation, q)
    assert np.allclose(g.invert_transform(a_T_b) @ a_T_b, np.eye(4), atol=1e-9)
    there = g.transform_points(a_T_b, point)
    assert np.allclose(g.transform_points(g.invert_transform(a_T_b), there), point, atol=1e-9)


@given(vectors, quaternions, vectors, quaternions, shares)
def test_interpolation_divides_way_and_angle_in_the_same_share(t0, q0, t1, q1, share):
    start, end = g.transform(t0, q0), g.transform(t1, q1)
    between = g.interpolate_transform(start, end, share)
    whole = g.rotation_angle(start, end)
    assert np.allclose(between[:3, 3], (1 - share) * start[:3, 3] + share * end[:3, 3])
    # The arc cosine of a trace near 3 loses half the digits.
    assert g.rotation_angle(start, between) == pytest.approx(share * whole, abs=1e-5)
    assert g.rotation_angle(between, end) == pytest.approx((1 - share) * whole, abs=1e-5)


@given(vectors, quaternions, vectors, quaternions)
def test_interpolation_meets_both_ends(t0, q0, t1, q1):
    start, end = g.transform(t0, q0), g.transform(t1, q1)
    assert np.allclose(g.interpolate_transform(start, end, 0.0), start, atol=1e-8)
    assert np.allclose(g.interpolate_transform(start, end, 1.0), end, atol=1e-8)


@pytest.mark.parametrize(
    ('a', 'b', 'truth'),
    [
        (((0, 0, 0), (2, 2, 2), 0.0), ((5, 0, 0), (2, 2, 2), 0.0), 3.0),
        (((0, 0, 0), (2, 2, 2), 0.0), ((4, 4, 0), (2, 2, 2), 0.0), np.hypot(2, 2)),
        (((0, 0, 0), (2, 2, 2), 0.0), ((0, 0, 4), (2, 2, 2), 0.7), 2.0),
        (((0, 0, 0), (2, 2, 2), 0.0), ((1, 0.5, 1), (1, 1, 1), 0.3), 0.0),
        # A square of 2 m turned by 45 degrees reaches sqrt(2) towards the other.
        (((0, 0, 0), (2, 2, 2), np.pi / 4), ((4, 0, 0), (2, 2, 2), 0.0), 3.0 - np.sqrt(2)),
        # Two long thin boxes that cross without a corner of either inside the other.
        (((0, 0, 0), (4, 0.2, 1), 0.0), ((0, 0, 0), (4, 0.2, 1), np.pi / 2), 0.0),
        # Points.
        (((0, 0, 0), (0, 0, 0), 0.0), ((3, 4, 0), (0, 0, 0), 0.0), 5.0),
    ],
)
def test_box_distance_by_hand(a, b, truth):
    assert g.box_distance(*a, *b) == pytest.approx(truth, abs=1e-5)
    assert g.box_distance(*b, *a) == pytest.approx(truth, abs=1e-5)
