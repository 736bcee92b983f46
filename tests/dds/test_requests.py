# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Requests over DDS: always a result code and a sentence that says what to do."""

import array
import threading

import numpy as np
import pytest
from patience import WAIT_S

pytest.importorskip('rclpy')
pytest.importorskip('spatial_ttt')

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, PoseStamped
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header

from spatial_ttt.msg import SpatialRegion
from spatial_ttt.srv import ForgetMemory, LoadMemory, SaveMemory, SpatialQuery, WatchObject

Request, Response = SpatialQuery.Request, SpatialQuery.Response
ANSWERED = (Response.OK, Response.NOT_FOUND, Response.NEVER_OBSERVED)


def picture(tour, **changes):
    """Return an example image of the tour with some fields changed."""
    rgb = tour[4].colour
    fields = {
        'height': rgb.shape[0],
        'width': rgb.shape[1],
        'encoding': 'rgb8',
        'step': rgb.shape[1] * 3,
        'data': array.array('B', rgb.tobytes()),
    }
    return Image(**{**fields, **changes})


def region(low, high, frame_id=''):
    return SpatialRegion(
        header=Header(frame_id=frame_id),
        min=Point(**dict(zip('xyz', map(float, low), strict=True))),
        max=Point(**dict(zip('xyz', map(float, high), strict=True))),
    )


def positions(answer):
    """Return the coordinates of all objects of an answer in one array."""
    points = [item.pose.pose.position for item in answer.objects]
    return np.array([[p.x, p.y, p.z] for p in points]).ravel()


def viewpoint(x, frame_id='map', w=1.0):
    pose = PoseStamped(header=Header(frame_id=frame_id))
    pose.pose.position.x, pose.pose.orientation.w = float(x), float(w)
    return pose


def wrong_requests():
    """Yield (id, fields of the request as a function of the tour, part of the message)."""
    locate = {'type': Request.LOCATE}
    return {
        'empty': (lambda _: {}, 'empty'),
        'blank text': (lambda _: {'text': '  '}, 'empty'),
        'unknown type': (lambda _: {'type': 99}, 'type 99'),
        'nothing to locate': (lambda _: locate, ''),
        'unknown label': (lambda _: {**locate, 'labels': ['zyzzyva']}, 'zyzzyva'),
        'empty label': (lambda _: {**locate, 'labels': ['']}, 'labels'),
        'too many labels': (lambda _: {**locate, 'labels': ['a'] * 17}, 'labels'),
        'roi outside': (
            lambda t: {
                **locate,
                'image': picture(t),
                'roi': RegionOfInterest(x_offset=100, width=100, height=10),
            },
            'roi',
        ),
        'roi without area': (
            lambda t: {**locate, 'image': picture(t), 'roi': RegionOfInterest(width=10)},
            'roi',
        ),
        'roi without image': (
            lambda _: {**locate, 'roi': RegionOfInterest(width=10, height=10)},
            'roi',
        ),
        'unknown encoding': (lambda t: {**locate, 'image': picture(t, encoding='x')}, 'image'),
        'depth as example': (lambda t: {**locate, 'image': picture(t, encoding='16UC1')}, 'image'),
        'wrong step': (lambda t: {**locate, 'image': picture(t, step=7)}, 'image'),
        'no pixels': (lambda t: {**locate, 'image': picture(t, data=b'')}, 'image'),
        'min above max': (
            lambda t: {**locate, 'image': picture(t), 'region': region((2, 0, 0), (1, 1, 1))},
            'region.min',
        ),
        'region not finite': (
            lambda t: {
                **locate,
                'image': picture(t),
                'region': region((0, 0, np.nan), (1, 1, 1)),
            },
            'finite',
        ),
        'frame unknown to tf': (
            lambda t: {
                **locate,
                'image': picture(t),
                'region': region((0, 0, 0), (1, 1, 1), 'kitchen'),
            },
            'kitchen',
        ),
        'answer in an unknown frame': (
            lambda t: {**locate, 'image': picture(t), 'frame_id': 'cellar'},
            'cellar',
        ),
        'viewpoint in an unknown frame': (
            lambda t: {
                'type': Request.NEAREST,
                'image': picture(t),
                'viewpoint': viewpoint(1, 'attic'),
            },
            'attic',
        ),
        'viewpoint not finite': (
            lambda t: {
                'type': Request.NEAREST,
                'image': picture(t),
                'viewpoint': viewpoint(np.nan),
            },
            'viewpoint',
        ),
        'viewpoint without length': (
            lambda t: {
                'type': Request.NEAREST,
                'image': picture(t),
                'viewpoint': viewpoint(1, w=0.0),
            },
            'viewpoint',
        ),
        'viewpoint without frame': (
            lambda t: {
                'type': Request.NEAREST,
                'image': picture(t),
                'viewpoint': viewpoint(1, frame_id=''),
            },
            'frame_id',
        ),
        'until before since': (
            lambda t: {
                **locate,
                'image': picture(t),
                'since': Time(sec=20),
                'until': Time(sec=10),
            },
            'until',
        ),
        'negative time': (
            lambda t: {**locate, 'image': picture(t), 'since': Time(sec=-5)},
            'since',
        ),
        'too much text': (lambda _: {'text': 'a' * 2000}, 'text'),
    }


@pytest.mark.parametrize('case', wrong_requests())
def test_wrong_request(shared, tour, case):
    fields, part = wrong_requests()[case]
    before = shared.status()
    answer = shared.query(**fields(tour))
    assert answer.result_code == Response.BAD_REQUEST, answer.message
    assert part in answer.message and len(answer.message) > 20
    assert not answer.objects and np.isnan(answer.value)
    after = shared.status()
    assert (after.state_hash, after.state_bytes) == (before.state_hash, before.state_bytes)


@pytest.mark.parametrize('kind', ['COUNT', 'ORDER'])
def test_type_that_cannot_be_answered_says_so(shared, tour, kind):
    answer = shared.query(
        type=getattr(Request, kind), image=picture(tour), viewpoint=viewpoint(0.0)
    )
    assert answer.result_code == Response.BAD_REQUEST
    assert len(answer.message) > 20


def test_where_a_picture_was_taken(shared, tour):
    """A whole picture of the node's own camera, by the CameraInfo that the node has of it."""
    frame = tour[4]
    answer = shared.query(type=Request.RELOCALIZE, image=picture(tour))
    assert answer.result_code == Response.OK, answer.message
    camera = answer.objects[0]
    assert np.linalg.norm(positions(answer)[:3] - frame.map_T_camera[:3, 3]) < 0.1
    covariance = np.array(camera.pose.covariance).reshape(6, 6)
    assert np.all(np.linalg.eigvalsh(covariance) > 0.0)
    assert answer.unit == 'm' and 0.0 == answer.value_low < answer.value == answer.value_high
    assert camera.evidence.data and camera.label == 'camera'


def test_where_a_picture_of_another_camera_was_taken(shared, tour):
    """The node has no CameraInfo of it, and a cropped picture does not fit the one it has."""
    foreign = picture(tour, header=Header(frame_id='telephone'))
    cropped = picture(tour, height=60, data=array.array('B', tour[4].colour[:60].tobytes()))
    for image, part in ((foreign, 'CameraInfo'), (cropped, 'aspect'), (Image(), 'picture')):
        answer = shared.query(type=Request.RELOCALIZE, image=image)
        assert answer.result_code == Response.BAD_REQUEST
        assert part in answer.message


def test_direction_of_an_example_and_size_of_the_room(shared, tour):
    picture_of = {'image': picture(tour), 'viewpoint': viewpoint(0.0)}
    direction = shared.query(type=Request.DIRECTION, **picture_of)
    assert direction.result_code in ANSWERED, direction.message
    if direction.result_code == Response.OK:
        assert direction.unit == 'rad' and abs(direction.value) <= np.pi
    room = shared.query(type=Request.ROOM_SIZE)
    assert room.result_code == Response.OK and room.unit == 'm²'
    assert room.value_low < room.value < room.value_high


def test_example_picture_is_located(shared, tour):
    answer = shared.query(
        type=Request.LOCATE,
        image=picture(tour),
        roi=RegionOfInterest(x_offset=48, y_offset=36, width=64, height=48),
    )
    assert answer.result_code in ANSWERED, answer.message
    assert answer.answer or answer.message
    assert answer.latency_ms > 0.0
    for item in answer.objects:
        assert item.header.frame_id == 'map'
        covariance = np.array(item.pose.covariance).reshape(6, 6)
        assert np.all(np.linalg.eigvalsh(covariance[:3, :3]) > 0.0)
        assert 0.0 <= item.confidence <= 1.0
        assert item.last_seen.sec >= item.first_seen.sec > 0


def test_thousand_results(shared, tour):
    answer = shared.query(type=Request.LOCATE, image=picture(tour), max_results=1000)
    assert answer.result_code in ANSWERED
    few = shared.query(type=Request.LOCATE, image=picture(tour), max_results=1)
    assert len(few.objects) <= 1


def test_describe_a_point(shared, tour):
    frame = tour[4]
    rows, columns = frame.depth.shape
    depth_m = float(frame.depth[rows // 2, columns // 2])
    i = frame.intrinsics
    ray = np.array([(columns // 2 - i.cx) / i.fx, (rows // 2 - i.cy) / i.fy, 1.0])
    point = frame.map_T_camera[:3, :3] @ (ray * depth_m) + frame.map_T_camera[:3, 3]
    on_surface = shared.query(type=Request.DESCRIBE, region=region(point, point, 'map'))
    assert on_surface.result_code == Response.OK, on_surface.message
    far = shared.query(type=Request.DESCRIBE, region=region((80,) * 3, (80,) * 3, 'map'))
    assert far.result_code == Response.NEVER_OBSERVED
    assert far.answer or far.message


def test_nearest_from_a_viewpoint(shared, tour):
    answer = shared.query(type=Request.NEAREST, image=picture(tour), viewpoint=viewpoint(0.0))
    assert answer.result_code in ANSWERED, answer.message


def test_nearest_from_the_robot_that_lost_itself(shared, tour):
    """No pose came for long: the shared node has waited for pose.viewpoint_max_age_s."""

    def answer():
        got = shared.query(type=Request.NEAREST, image=picture(tour))
        return got if got.result_code == Response.NOT_LOCALIZED else None

    assert 'pose' in shared.until(answer, what='NOT_LOCALIZED').message


def test_what_is_around_a_robot_that_lost_itself_needs_a_viewpoint(shared):
    def lost():
        got = shared.query(type=Request.DESCRIBE)
        return got if got.result_code == Response.NOT_LOCALIZED else None

    assert 'give a viewpoint' in shared.until(lost, what='NOT_LOCALIZED').message
    here = shared.query(type=Request.DESCRIBE, viewpoint=viewpoint(0.0))
    assert here.result_code == Response.OK and 'surface places' in here.answer


def test_every_one_of_many_questions_gets_an_answer(shared, tour):
    """Whoever gets in is answered; whoever does not is told so."""
    request = Request(type=Request.LOCATE, image=picture(tour), max_results=1000)
    waiting = [shared.begin(SpatialQuery, 'query', request) for _ in range(8)]
    codes = [wait().result_code for wait in waiting]
    assert set(codes) <= {*ANSWERED, Response.BUSY}
    assert set(codes) & set(ANSWERED)


def test_question_beyond_the_limit_is_busy():
    """The memory holds the first question until the second has its answer."""
    from ros2_spatial_ttt.ros.frames import Frames
    from ros2_spatial_ttt.ros.questions import Questions
    from ros2_spatial_ttt.types import Answer, ResultCode

    entered, leave = threading.Event(), threading.Event()

    class Held:
        def query(self, _query):
            entered.set()
            assert leave.wait(WAIT_S)
            return Answer(ResultCode.NOT_FOUND)

    questions = Questions(
        Held(),
        Frames(None, map_frame='map', follow=False, required=False),
        newest_pose=lambda: None,
        max_age_s=1.0,
        intrinsics=lambda _frame: None,
        at_once=1,
        on_answer=lambda _: None,
        log=None,
    )
    request, first = Request(type=Request.LOCATE, labels=['a']), Response()
    thread = threading.Thread(target=questions, args=(request, first))
    thread.start()
    assert entered.wait(WAIT_S)
    second = questions(request, Response())
    leave.set()
    thread.join()
    assert (first.result_code, second.result_code) == (Response.NOT_FOUND, Response.BUSY)
    assert 'again' in second.message
    assert questions(request, Response()).result_code == Response.NOT_FOUND


def test_answers_while_a_frame_is_processed(shared, tour):
    """Answers come from several clients at once, all of them whole."""
    answers = []

    def ask():
        for _ in range(3):
            answers.append(shared.query(type=Request.LOCATE, image=picture(tour)))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    for answer in answers:
        assert positions(answer) == pytest.approx(positions(answers[0]), abs=1e-9)


@pytest.mark.parametrize(
    'name', ['', '.', '..', '.hidden', 'a/b', '../up', '/etc/passwd', 'a\\b', 'a\nb', 'x' * 300]
)
@pytest.mark.parametrize(('kind', 'service'), [(SaveMemory, 'save'), (LoadMemory, 'load')])
def test_snapshot_names_that_are_not_plain(shared, kind, service, name):
    answer = shared.call(kind, service, kind.Request(name=name))
    assert not answer.success
    assert 'plain file name' in answer.message


def test_snapshot_round_trip(shared, tour):
    before = shared.settled()
    question = {'type': Request.LOCATE, 'image': picture(tour)}
    first = shared.query(**question)
    saved = shared.call(SaveMemory, 'save', SaveMemory.Request(name='round_trip'))
    assert saved.success, saved.message
    assert saved.bytes > 0
    loaded = shared.call(LoadMemory, 'load', LoadMemory.Request(name='round_trip'))
    assert loaded.success, loaded.message
    after = shared.settled()
    assert (after.state_hash, after.state_bytes) == (before.state_hash, before.state_bytes)
    second = shared.query(**question)
    assert positions(second) == pytest.approx(positions(first), abs=1e-9)


@pytest.mark.parametrize('damage', ['truncated', 'flipped', 'missing', 'nonsense'])
def test_snapshot_that_cannot_be_loaded(shared, damage):
    before = shared.settled()
    assert shared.call(SaveMemory, 'save', SaveMemory.Request(name=f'to_be_{damage}')).success
    path = next((shared.folder / 'snapshots').glob(f'to_be_{damage}*'))
    content = bytearray(path.read_bytes())
    if damage == 'truncated':
        path.write_bytes(content[: len(content) // 2])
    elif damage == 'flipped':
        content[len(content) // 2] ^= 0x10
        path.write_bytes(content)
    elif damage == 'missing':
        path.unlink()
    else:
        path.write_bytes(b'not a snapshot at all')
    answer = shared.call(LoadMemory, 'load', LoadMemory.Request(name=f'to_be_{damage}'))
    assert not answer.success
    assert len(answer.message) > 20
    after = shared.settled()
    assert (after.state_hash, after.state_bytes) == (before.state_hash, before.state_bytes)


@pytest.mark.parametrize(
    ('fields', 'part'),
    [
        ({}, 'empty'),
        ({'all': True, 'since': Time(sec=1)}, 'leave out one'),
        ({'since': Time(sec=9), 'until': Time(sec=3)}, 'until'),
        ({'region': region((1, 0, 0), (0, 1, 1))}, 'region.min'),
        ({'region': region((0, 0, 0), (1, 1, 1), 'kitchen')}, 'kitchen'),
    ],
)
def test_wrong_forget(shared, fields, part):
    before = shared.status()
    answer = shared.call(ForgetMemory, 'forget', ForgetMemory.Request(**fields))
    assert not answer.success
    assert part in answer.message
    assert shared.status().state_hash == before.state_hash


def test_wrong_watches(shared, tour):
    def watch(**fields):
        return shared.call(WatchObject, 'watch', WatchObject.Request(**fields))

    nameless = watch(enable=True, image=picture(tour))
    assert not nameless.success and 'name' in nameless.message
    of_nothing = watch(name='nothing', enable=True)
    assert not of_nothing.success and 'label' in of_nothing.message
    unknown = watch(name='never started')
    assert not unknown.success and 'never started' in unknown.message
    for number in range(16):
        assert watch(name=f'watch {number}', enable=True, image=picture(tour)).success
    too_many = watch(name='one more', enable=True, image=picture(tour))
    assert not too_many.success and '16' in too_many.message
    for number in range(16):
        assert watch(name=f'watch {number}').success
