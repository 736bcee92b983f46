# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""RELOCALIZE: where a whole picture was taken, from what it has in common with keyframes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ros2_spatial_ttt.geometry import rotation_angle
from ros2_spatial_ttt.memory.evidence import EvidenceBank
from ros2_spatial_ttt.query.intervals import ball90
from ros2_spatial_ttt.query.resection import Pairs, fitted
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.types import Example, Query, QueryType, Region, ResultCode

pytestmark = pytest.mark.ort


def ask(memory, picture, camera, *, roi=None, **parts):
    example = Example(picture, roi, camera)
    return memory.query(Query(QueryType.RELOCALIZE, examples=(example,), **parts))


@pytest.fixture(scope='module')
def camera(tour):
    return tour[0].intrinsics


@pytest.fixture(scope='module')
def views(scene, camera):
    """Return (picture, pose) of six views between those that were learnt."""
    poses = [boxes.make_tour(scene, 160, scene.seed)[number] for number in range(6, 160, 26)]
    return [(boxes.render(scene, camera, pose)[0], pose) for pose in poses]


@pytest.fixture(scope='module')
def answers(room, views, camera):
    return [ask(room, picture, camera) for picture, _ in views]


def test_views_that_were_never_learnt_are_found(answers, views):
    for answer, (_, pose) in zip(answers, views, strict=True):
        assert answer.code == ResultCode.OK, answer.message
        found = answer.instances[0].map_T_camera
        assert np.linalg.norm(found[:3, 3] - pose[:3, 3]) < 0.1
        assert np.degrees(rotation_angle(found, pose)) < 2.0
        assert answer.confidence > 0.5


def test_the_answer_says_how_exact_it_is(answers, views):
    error = [
        np.linalg.norm(answer.instances[0].position - pose[:3, 3])
        for answer, (_, pose) in zip(answers, views, strict=True)
    ]
    radius = [answer.value for answer in answers]
    assert np.mean(np.less(error, radius)) > 0.6
    for answer in answers:
        one = answer.instances[0]
        assert answer.unit == 'm' and (answer.value_low, answer.value_high) == (0, answer.value)
        assert answer.value == pytest.approx(ball90(one.covariance))
        assert np.linalg.eigvalsh(one.pose_covariance).min() > 0.0
        assert np.array_equal(one.pose_covariance[:3, :3], one.covariance)


def test_the_keyframe_that_agrees_most_is_the_evidence(answers, room):
    by_stamp = {keyframe.stamp_ns: keyframe for keyframe in room.keyframes()}
    for one in (answer.instances[0] for answer in answers):
        keyframe = by_stamp[one.evidence_stamp_ns]
        assert one.evidence_jpeg == keyframe.jpeg
        assert np.array_equal(one.evidence_map_T_camera, keyframe.map_T_camera)
        assert one.first_seen_ns <= one.evidence_stamp_ns <= one.last_seen_ns
        # It looks at what the camera looks at.
        ahead = one.map_T_camera[:3, 2] @ keyframe.map_T_camera[:3, 2]
        assert ahead > 0.5


def test_a_later_question_may_mean_the_camera(room, answers):
    one = answers[0].instances[0]
    observer = np.eye(4)
    observer[:3, 3] = one.position + (3.0, 4.0, 0.0)
    answer = room.query(Query(QueryType.DISTANCE, labels=(f'#{one.id}',), viewpoint=observer))
    assert answer.value == pytest.approx(5.0)


def test_a_larger_picture_of_the_same_camera_is_scaled(room, views, camera):
    picture, pose = views[0]
    larger = cv2.resize(picture, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    found = ask(room, larger, camera).instances[0].map_T_camera
    assert np.linalg.norm(found[:3, 3] - pose[:3, 3]) < 0.1


def test_the_distortion_of_the_camera_counts(room, scene, camera):
    """A view through a lens that bends: with its coefficients it is found, as in the map."""
    pose = boxes.make_tour(scene, 160, scene.seed)[30]
    ideal = boxes.render(scene, camera, pose)[0]
    bent = replace(camera, distortion=(-0.25, 0.05, 0.0, 0.0, 0.0))
    matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
    v, u = np.indices((camera.height, camera.width)).reshape(2, -1).astype(np.float32)
    xy = cv2.undistortPoints(np.stack([u, v], 1)[:, None], matrix, np.array(bent.distortion))
    at = (xy[:, 0] * (camera.fx, camera.fy) + (camera.cx, camera.cy)).astype(np.float32)
    at = at.reshape(camera.height, camera.width, 2)
    seen = cv2.remap(ideal, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
    right, wrong = (ask(room, seen, one).instances[0].position for one in (bent, camera))
    error = np.linalg.norm(right - pose[:3, 3])
    assert error < 0.1
    assert error < np.linalg.norm(wrong - pose[:3, 3])


def test_only_the_roi_is_used(room, views, camera):
    """With something else pasted over a half of the picture, the other half is enough."""
    picture, pose = views[2]
    half = picture.copy()
    half[:, 160:] = np.random.default_rng(0).integers(0, 255, half[:, 160:].shape)
    answer = ask(room, half, camera, roi=(0, 0, 160, 240))
    assert answer.code == ResultCode.OK
    assert np.linalg.norm(answer.instances[0].position - pose[:3, 3]) < 0.15
    again = ask(room, picture, camera, roi=(0, 0, 160, 240))
    assert np.allclose(answer.instances[0].position, again.instances[0].position, atol=0.05)


@pytest.fixture(scope='module')
def elsewhere(camera):
    """Return four pictures of another room."""
    return [frame.colour for frame in boxes.frames(8, 4, width=320, height=240)]


def test_another_room_is_not_found(room, elsewhere, camera):
    for picture in elsewhere:
        answer = ask(room, picture, camera)
        assert answer.code == ResultCode.NOT_FOUND
        assert all(guess.confidence < 0.5 for guess in answer.instances)
        assert answer.message


@pytest.mark.parametrize('spoil', ['mirrored', 'blank', 'noise'])
def test_what_no_camera_there_can_have_seen_is_not_found(room, views, camera, spoil, rng):
    picture = {
        'mirrored': views[0][0][:, ::-1].copy(),
        'blank': np.full_like(views[0][0], 120),
        'noise': rng.integers(0, 255, views[0][0].shape).astype(np.uint8),
    }[spoil]
    answer = ask(room, picture, camera)
    assert answer.code == ResultCode.NOT_FOUND
    assert all(guess.confidence < 0.5 for guess in answer.instances)


def test_a_region_limits_where_the_camera_may_stand(room, views, camera):
    picture, pose = views[0]
    x, y, z = map(float, pose[:3, 3])
    here = Region((x - 0.3, y - 0.3, z - 0.3), (x + 0.3, y + 0.3, z + 0.3))
    away = Region((x + 0.4, y - 0.3, z - 0.3), (x + 1.0, y + 0.3, z + 0.3))
    assert ask(room, picture, camera, region=here).code == ResultCode.OK
    assert ask(room, picture, camera, region=away).code == ResultCode.NOT_FOUND
    far = Region((50.0, 50.0, 0.0), (51.0, 51.0, 2.0))
    assert ask(room, picture, camera, region=far).code == ResultCode.NEVER_OBSERVED


def test_only_keyframes_of_the_time_count(room, views, camera):
    picture, middle = views[0][0], room.keyframes()[len(room.keyframes()) // 2].stamp_ns
    one = ask(room, picture, camera, since_ns=middle)
    assert all(found.first_seen_ns >= middle for found in one.instances)
    assert ask(room, picture, camera, until_ns=1).code == ResultCode.NOT_FOUND


def test_an_empty_memory_has_never_been_anywhere(make_memory, views, camera):
    answer = ask(make_memory(), views[0][0], camera)
    assert answer.code == ResultCode.NEVER_OBSERVED and answer.message


def test_without_keyframes_nothing_is_found(make_memory, room, views, camera):
    memory = make_memory()
    memory.restore(replace(room.state, evidence=EvidenceBank()))
    assert ask(memory, views[0][0], camera).code == ResultCode.NOT_FOUND


def test_keyframes_without_depth_say_nothing_of_places(make_memory, room, views, camera):
    flat = tuple(
        replace(keyframe, depth=np.zeros_like(keyframe.depth)) for keyframe in room.keyframes()
    )
    memory = make_memory()
    memory.restore(replace(room.state, evidence=EvidenceBank(flat)))
    assert ask(memory, views[0][0], camera).code == ResultCode.NOT_FOUND


def bad_requests(picture, camera):
    whole = Example(picture, None, camera)
    unknown = replace(camera, model='seashell', distortion=(0.1,))
    return {
        'no picture': ((), 'one picture'),
        'two pictures': ((whole, whole), 'got 2'),
        'no intrinsics': ((Example(picture),), 'CameraInfo'),
        'cropped': ((Example(picture[:200], None, camera),), 'same aspect'),
        'grey': ((Example(picture[..., 0], None, camera),), 'uint8 RGB'),
        'roi outside': ((Example(picture, (300, 0, 50, 50), camera),), 'roi'),
        'distortion': ((Example(picture, None, unknown),), 'seashell'),
    }


BLANK = np.zeros((240, 320, 3), np.uint8), boxes.camera_intrinsics(320, 240)


@pytest.mark.parametrize('case', bad_requests(*BLANK))
def test_bad_request(room, views, camera, case):
    examples, part = bad_requests(views[0][0], camera)[case]
    answer = room.query(Query(QueryType.RELOCALIZE, examples=examples))
    assert answer.code == ResultCode.BAD_REQUEST
    assert part in answer.message and not answer.instances


def test_where_am_i_asks_for_a_picture(room, views, camera):
    alone = room.query(Query(QueryType.AUTO, text='where am I?'))
    assert alone.code == ResultCode.BAD_REQUEST and 'picture' in alone.message
    example = Example(views[0][0], None, camera)
    shown = room.query(Query(QueryType.AUTO, text='Where am I?', examples=(example,)))
    assert shown.code == ResultCode.OK


def test_points_between_tokens_lie_on_the_surface(room, tour, manifest, rng):
    """Depth is kept once per token; in between it follows planes, and edges have no points."""
    keyframe = room.keyframes()[0]
    frame = next(frame for frame in tour if frame.stamp_ns == keyframe.stamp_ns)
    k = keyframe.intrinsics
    pixels = rng.integers(0, (k.width, k.height), (400, 2)).astype(np.float64)
    points, rows = keyframe.points_at(pixels, manifest.grid)
    u, v = pixels[rows].astype(int).T
    z = frame.depth[v, u]
    local = np.stack([(u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z], axis=1)
    truth = local @ frame.map_T_camera[:3, :3].T + frame.map_T_camera[:3, 3]
    error = np.linalg.norm(points - truth, axis=1)
    assert np.median(error) < 0.03 and np.percentile(error, 80) < 0.15
    assert 150 < len(rows) < 400


# The pose alone.


def made_up(rng, count, *, wrong=0, noise=0.004):
    """Return a pose and pairs that agree with it but for noise; the last ``wrong`` do not."""
    pose = boxes.look(np.array([0.5, -1.0, 1.2]), 0.7, -0.2)
    local = rng.uniform((-0.8, -0.6, 1.0), (0.8, 0.6, 1.0), (count, 3))
    local *= rng.uniform(1.0, 4.0, (count, 1))
    xy = local[:, :2] / local[:, 2:] + rng.normal(0.0, noise, (count, 2))
    xy[count - wrong :] = rng.uniform(-0.8, 0.8, (wrong, 2))
    point = local @ pose[:3, :3].T + pose[:3, 3]
    return pose, Pairs(np.arange(count), xy, point, np.zeros(count, np.int64))


def test_wrong_pairs_do_not_move_the_pose(rng):
    pose, pairs = made_up(rng, 120, wrong=50)
    fit = fitted([pairs], 0.012)
    assert np.linalg.norm(fit.map_T_camera[:3, 3] - pose[:3, 3]) < 0.02
    assert 60 <= fit.agree.distinct <= 80 and fit.matched == 120


def test_groups_help_each_other(rng):
    """Four right pairs each are too few for a pose; together they are not."""
    pose, pairs = made_up(rng, 16)
    groups = [pairs.kept(np.arange(16) // 4 == number) for number in range(4)]
    fit = fitted(groups, 0.012)
    assert fit.agree.distinct >= 12
    assert np.linalg.norm(fit.map_T_camera[:3, 3] - pose[:3, 3]) < 0.05


def test_pairs_of_chance_fit_nothing(rng):
    _, pairs = made_up(rng, 40, wrong=40)
    fit = fitted([pairs], 0.005)
    assert fit is None or fit.agree.distinct < 10


def test_the_covariance_is_that_of_the_errors(rng):
    """Over many draws of the noise, errors along each direction are as large as foretold."""
    errors, foretold = [], []
    for _ in range(80):
        pose, pairs = made_up(rng, 60, noise=0.02)
        fit = fitted([pairs], 0.2)
        turn = cv2.Rodrigues(fit.map_T_camera[:3, :3] @ pose[:3, :3].T)[0].ravel()
        errors.append(np.concatenate([fit.map_T_camera[:3, 3] - pose[:3, 3], turn]))
        foretold.append(fit.covariance)
    measured, expected = np.mean(np.square(errors), axis=0), np.mean(foretold, axis=0)
    ratio = np.sqrt(np.diag(expected) / measured)
    # Errors of landmarks, which a picture shares, are allowed for on top of the noise.
    assert np.all(ratio > 1.0) and ratio.max() / ratio.min() < 2.0
    together = np.mean([np.outer(e, e) for e in errors], axis=0)
    assert np.sign(together[0, 4]) == np.sign(expected[0, 4])
    assert np.sign(together[1, 3]) == np.sign(expected[1, 3])
