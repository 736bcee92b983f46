# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions of every type, on a rendered room whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ros2_spatial_ttt.query import intervals
from ros2_spatial_ttt.query.engine import MOST_RESULTS
from ros2_spatial_ttt.types import Example, Instance, Query, QueryType, Region, ResultCode

pytestmark = pytest.mark.ort

EVERYWHERE = Region((-4.0, -4.0, -0.2), (4.0, 4.0, 3.0))
NEVER = Region((20.0, 20.0, 0.0), (22.0, 22.0, 2.0))


@pytest.fixture(scope='module')
def snapshot(room, tmp_path_factory):
    path = tmp_path_factory.mktemp('query') / 'room.safetensors'
    room.save(path)
    return path


@pytest.fixture(scope='module')
def easy(make_memory, snapshot):
    """The room, in a memory that takes every guess for found."""
    memory = make_memory(read__found_threshold=0.001)
    memory.load(snapshot)
    return memory


@pytest.fixture(scope='module')
def strict(make_memory, snapshot):
    """The room, in a memory that takes no guess for found."""
    memory = make_memory(read__found_threshold=0.9999)
    memory.load(snapshot)
    return memory


@pytest.fixture(scope='module')
def example(shown):
    return shown['sofa_2.back'][0]


def ask(memory, kind, **parts):
    return memory.query(Query(kind, **parts))


def at(x, y, z) -> Region:
    return Region((x, y, z), (x, y, z))


def standing(x, y, z=1.2):
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def assert_whole(answer, memory):
    """What holds for every answer that found something."""
    assert answer.code == ResultCode.OK and answer.sentence and answer.unit
    assert answer.value_low <= answer.value <= answer.value_high
    assert 0.0 <= answer.confidence <= 1.0 and answer.latency_ms > 0.0
    assert answer.valid_at_ns == memory.status().newest_stamp_ns
    for instance in answer.instances:
        covariance = instance.covariance
        assert np.allclose(covariance, covariance.T) and np.linalg.eigvalsh(covariance).min() > 0
        assert 0 < instance.first_seen_ns <= instance.last_seen_ns <= answer.valid_at_ns
        assert instance.observations > 0 and (instance.size >= 0).all()


# LOCATE and EXISTS.


def test_things_are_located_by_a_picture_from_a_new_view(easy, shown):
    errors = {}
    for name, (picture, truth) in shown.items():
        answer = ask(easy, QueryType.LOCATE, examples=(picture,))
        assert_whole(answer, easy)
        errors[name] = float(np.linalg.norm(answer.instances[0].position - truth))
    assert max(errors.values()) < 0.5, errors


def test_a_located_thing_comes_with_a_picture_of_the_place(easy, example):
    best = ask(easy, QueryType.LOCATE, examples=(example,)).instances[0]
    picture = cv2.imdecode(np.frombuffer(best.evidence_jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (240, 320, 3)
    poses = {k.stamp_ns: k.map_T_camera for k in easy.keyframes()}
    assert np.array_equal(poses[best.evidence_stamp_ns], best.evidence_map_T_camera)
    x, y, z = np.linalg.inv(best.evidence_map_T_camera)[:3] @ [*best.position, 1.0]
    assert z > 0 and abs(x / z) < 0.62 and abs(y / z) < 0.47, 'the place is in the picture'


def test_places_are_apart_and_best_first(easy, example):
    found = ask(easy, QueryType.LOCATE, examples=(example,), max_results=8).instances
    assert len(found) == 8 and len({instance.id for instance in found}) == 8
    confidence = [instance.confidence for instance in found]
    assert confidence == sorted(confidence, reverse=True)


@pytest.mark.parametrize(('asked', 'most'), [(0, 10), (1, 1), (3, 3), (1000, 1000), (10**6, 1000)])
def test_the_number_of_results_is_limited(easy, example, asked, most):
    answer = ask(easy, QueryType.LOCATE, examples=(example,), max_results=asked)
    assert answer.code == ResultCode.OK
    assert 0 < len(answer.instances) <= min(most, MOST_RESULTS)
    if most <= 10:
        assert len(answer.instances) == most


def test_the_whole_image_is_the_example_without_a_roi(easy, tour):
    answer = ask(easy, QueryType.LOCATE, examples=(Example(tour[3].colour),))
    assert_whole(answer, easy)


def test_three_verdicts_on_an_example(easy, strict, example):
    verdicts = [
        ask(easy, QueryType.LOCATE, examples=(example,)),
        ask(strict, QueryType.LOCATE, examples=(example,)),
        ask(easy, QueryType.LOCATE, examples=(example,), region=NEVER),
    ]
    assert [answer.code for answer in verdicts] == [
        ResultCode.OK,
        ResultCode.NOT_FOUND,
        ResultCode.NEVER_OBSERVED,
    ]
    _, missing, never = verdicts
    assert missing.instances and 'best guesses' in missing.message
    assert not never.instances and '0% of the region' in never.message
    assert np.isnan(never.value)
    assert all(answer.sentence for answer in verdicts)


def test_exists_says_yes_no_or_never_looked(easy, strict, example):
    yes = ask(easy, QueryType.EXISTS, examples=(example,))
    no = ask(strict, QueryType.EXISTS, examples=(example,))
    never = ask(easy, QueryType.EXISTS, examples=(example,), region=NEVER)
    assert_whole(yes, easy)
    assert (yes.value, yes.sentence[:3]) == (1.0, 'Yes')
    assert (no.code, no.value, no.sentence[:2]) == (ResultCode.NOT_FOUND, 0.0, 'No')
    assert no.value_low <= no.value <= no.value_high
    assert never.code == ResultCode.NEVER_OBSERVED and np.isnan(never.value)


def test_a_region_limits_the_search(easy, shown):
    example, truth = shown['sofa_2.back']
    near = Region(tuple(truth - 0.6), tuple(truth + 0.6))
    found = ask(easy, QueryType.LOCATE, examples=(example,), region=near).instances
    assert found and all(near.contains(instance.position[None]).all() for instance in found)


def test_an_empty_memory_has_never_observed_anything(make_memory, example):
    memory = make_memory()
    for kind in (QueryType.LOCATE, QueryType.EXISTS):
        answer = ask(memory, kind, examples=(example,))
        assert answer.code == ResultCode.NEVER_OBSERVED and 'drive around' in answer.message
    nearest = ask(memory, QueryType.NEAREST, viewpoint=np.eye(4))
    assert nearest.code == ResultCode.NEVER_OBSERVED
    describe = ask(memory, QueryType.DESCRIBE, region=at(0, 0, 1))
    assert describe.code == ResultCode.NEVER_OBSERVED


# Time.


def test_since_and_until_limit_what_is_found(easy, example, tour):
    cut = tour[20].stamp_ns
    late = ask(easy, QueryType.LOCATE, examples=(example,), since_ns=cut, max_results=50)
    early = ask(easy, QueryType.LOCATE, examples=(example,), until_ns=cut, max_results=50)
    assert late.instances and all(i.last_seen_ns >= cut for i in late.instances)
    assert early.instances and all(i.first_seen_ns <= cut for i in early.instances)
    future = ask(easy, QueryType.LOCATE, examples=(example,), since_ns=tour[-1].stamp_ns + 1)
    assert future.code == ResultCode.NOT_FOUND and 'region and time' in future.message


# NEAREST and DISTANCE.


def test_the_nearest_surface_is_as_far_as_the_nearest_place(room):
    eye = (1.5, 0.5, 1.0)
    answer = ask(room, QueryType.NEAREST, viewpoint=standing(*eye))
    assert_whole(answer, room)
    metres = np.linalg.norm(room.field_points().points - np.array(eye), axis=1)
    assert answer.value == pytest.approx(metres.min(), abs=0.02) and answer.unit == 'm'


def test_the_nearest_of_what_looks_like_an_example(easy, example):
    eye = standing(0.0, 0.0)
    answer = ask(easy, QueryType.NEAREST, examples=(example,), viewpoint=eye)
    assert_whole(answer, easy)
    metres = [np.linalg.norm(i.position - eye[:3, 3]) for i in answer.instances]
    assert metres == sorted(metres) and answer.value == pytest.approx(metres[0])


def test_nearest_in_a_region_that_was_never_seen(room):
    answer = ask(room, QueryType.NEAREST, viewpoint=np.eye(4), region=NEVER)
    assert answer.code == ResultCode.NEVER_OBSERVED


@pytest.fixture
def ends(easy, shown):
    """Ids and positions of two things."""
    pair = ('desk_2.monitor', 'table.rug')
    best = [ask(easy, QueryType.LOCATE, examples=(shown[n][0],)).instances[0] for n in pair]
    apart = float(np.linalg.norm(best[0].position - best[1].position))
    return pair, best, apart


def test_distance_between_two_examples(easy, shown, ends):
    pair, _, apart = ends
    answer = ask(easy, QueryType.DISTANCE, examples=tuple(shown[name][0] for name in pair))
    assert_whole(answer, easy)
    assert answer.value == pytest.approx(apart) and len(answer.instances) == 2
    truth = np.linalg.norm(shown[pair[0]][1] - shown[pair[1]][1])
    assert abs(answer.value - truth) < 0.5
    assert answer.value_low < answer.value < answer.value_high


def test_distance_between_an_example_and_an_earlier_object(easy, shown, ends):
    pair, best, apart = ends
    label = f'#{best[1].id}'
    answer = ask(easy, QueryType.DISTANCE, examples=(shown[pair[0]][0],), labels=(label,))
    assert answer.code == ResultCode.OK and answer.value == pytest.approx(apart)


def test_distance_between_two_earlier_objects_in_words(easy, ends):
    _, best, apart = ends
    text = f'how far is #{best[0].id} from #{best[1].id}?'
    answer = ask(easy, QueryType.AUTO, text=text)
    assert answer.code == ResultCode.OK and answer.value == pytest.approx(apart)


def test_distance_to_the_viewpoint(easy, ends):
    _, best, _ = ends
    eye = standing(0.5, -0.5)
    labels = (f'#{best[0].id}',)
    answer = ask(easy, QueryType.DISTANCE, labels=labels, viewpoint=eye)
    assert_whole(answer, easy)
    assert answer.value == pytest.approx(np.linalg.norm(best[0].position - eye[:3, 3]))
    # Labels that are set stand for what the text calls 'it'.
    words = ask(easy, QueryType.AUTO, text='how far away is it?', labels=labels, viewpoint=eye)
    assert words.code == ResultCode.OK and words.value == pytest.approx(answer.value)


def test_the_bearing_of_an_example_from_the_viewpoint(easy, shown, ends):
    pair, best, _ = ends
    eye = standing(0.5, -0.5)
    answer = ask(easy, QueryType.DIRECTION, examples=(shown[pair[0]][0],), viewpoint=eye)
    nearest = answer.instances[0].position - eye[:3, 3]
    assert answer.code == ResultCode.OK and answer.unit == 'rad'
    assert answer.value == pytest.approx(np.arctan2(nearest[1], nearest[0]))


def test_the_floor_area_of_the_room_needs_no_names(easy, scene):
    answer = ask(easy, QueryType.ROOM_SIZE)
    assert answer.code == ResultCode.OK and answer.unit == 'm²'
    assert answer.value == pytest.approx(scene.size[0] * scene.size[1], rel=0.15)
    assert answer.value_low < answer.value < answer.value_high
    part = ask(easy, QueryType.ROOM_SIZE, region=Region((0, 0, -0.2), (1.0, 1.0, 3.0)))
    assert part.value < 0.2 * answer.value
    assert ask(easy, QueryType.ROOM_SIZE, region=NEVER).code == ResultCode.NEVER_OBSERVED


def test_distance_to_something_that_is_not_there(strict, example):
    answer = ask(strict, QueryType.DISTANCE, examples=(example, example))
    assert answer.code == ResultCode.NOT_FOUND


# DESCRIBE.


def test_a_point_on_a_surface_is_described(room, scene):
    table = scene.box('table.top')
    x, y, z = table.centre
    top = (x, y, z + table.size[2] / 2)
    answer = ask(room, QueryType.DESCRIBE, region=at(*top))
    assert_whole(answer, room)
    assert answer.value > 0.5
    assert 'surface' in answer.sentence and answer.instances[0].label == 'surface'


def test_a_point_in_seen_space_is_free_and_one_outside_unseen(room):
    free = ask(room, QueryType.DESCRIBE, region=at(1.3, 0.0, 1.4))
    assert free.code == ResultCode.NOT_FOUND and 'free' in free.sentence
    assert free.value_low <= free.value <= free.value_high
    unseen = ask(room, QueryType.DESCRIBE, region=at(12.0, 0.0, 1.4))
    assert unseen.code == ResultCode.NEVER_OBSERVED


def test_boxes_are_described_by_their_share(room):
    whole = ask(room, QueryType.DESCRIBE, region=Region((-1, -1, 0), (1, 1, 1.5)))
    assert_whole(whole, room)
    assert whole.value > 0.5
    free = ask(room, QueryType.DESCRIBE, region=Region((1.2, -0.2, 1.3), (1.6, 0.2, 1.6)))
    assert free.code == ResultCode.NOT_FOUND and 'free' in free.message
    assert ask(room, QueryType.DESCRIBE, region=NEVER).code == ResultCode.NEVER_OBSERVED


@pytest.mark.parametrize(
    'region',
    [
        Region((-1e6, -1e6, -1e6), (1e6, 1e6, 1e6)),
        Region((-3.0, 0.0, 0.5), (3.0, 0.0, 0.5)),
        Region((0.0, 0.0, -1e5), (0.0, 0.0, 1e5)),
    ],
    ids=['world', 'line', 'needle'],
)
def test_odd_boxes_get_a_verdict(room, region):
    answer = ask(room, QueryType.DESCRIBE, region=region)
    assert answer.code in (ResultCode.OK, ResultCode.NOT_FOUND, ResultCode.NEVER_OBSERVED)


# Bad requests.


def test_an_empty_request_is_refused_with_a_way_out(room):
    answer = ask(room, QueryType.AUTO)
    assert answer.code == ResultCode.BAD_REQUEST and 'set a type' in answer.message


def bad_requests(image):
    roi_of = {
        'roi outside': (310, 10, 48, 48),
        'roi left of the image': (-1, 10, 48, 48),
        'roi without width': (10, 10, 0, 48),
        'roi of 4 px': (10, 10, 4, 48),
    }
    words = {'roi of 4 px': 'too small'}
    cases = {
        name: (
            Query(QueryType.LOCATE, examples=(Example(image, roi),)),
            words.get(name, 'lies outside the 320x240 px image'),
        )
        for name, roi in roi_of.items()
    }
    good = Query(QueryType.LOCATE, examples=(Example(image, (50, 50, 48, 48)),))
    swapped, endless = Region((1, 0, 0), (0, 1, 1)), Region((0, 0, 0), (1, float('nan'), 1))
    endless_view = standing(float('inf'), 0)
    return cases | {
        'grey example': (replace(good, examples=(Example(image[..., 0]),)), 'uint8 RGB'),
        'empty example': (replace(good, examples=(Example(image[:0]),)), 'uint8 RGB'),
        'no example': (
            replace(good, examples=()),
            'needs one name or one example image of the thing, got 0',
        ),
        'two examples': (replace(good, examples=good.examples * 2), 'got 2'),
        'unknown label': (Query(QueryType.LOCATE, labels=('chair',)), "label 'chair'"),
        'unknown object': (
            replace(good, type=QueryType.DISTANCE, labels=('#999999',)),
            'no object',
        ),
        'no number': (replace(good, type=QueryType.DISTANCE, labels=('#chair',)), 'no object'),
        'min over max': (replace(good, region=swapped), 'greater than max'),
        'region not finite': (replace(good, region=endless), 'not finite'),
        'viewpoint not finite': (replace(good, viewpoint=endless_view), 'viewpoint: not finite'),
        'until before since': (replace(good, since_ns=2, until_ns=1), 'until is before since'),
        'negative max_results': (replace(good, max_results=-1), 'max_results is -1'),
        'nearest from nowhere': (Query(QueryType.NEAREST), 'NEAREST needs a viewpoint'),
        'describe nothing': (Query(QueryType.DESCRIBE), 'DESCRIBE needs a thing'),
        'distance of nothing': (Query(QueryType.DISTANCE), 'between two things, got 0'),
        'distance of three': (
            Query(QueryType.DISTANCE, examples=good.examples * 3),
            'between two things, got 3',
        ),
        'direction from nowhere': (
            replace(good, type=QueryType.DIRECTION),
            'DIRECTION needs a viewpoint',
        ),
        'a name of ours': (replace(good, examples=(), labels=('@0',)), 'no name begins with @'),
        'relocalize': (Query(QueryType.RELOCALIZE), 'RELOCALIZE needs one picture'),
        'nonsense': (Query(QueryType.AUTO, text='colourless green ideas'), 'cannot understand'),
        'a name in words': (Query(QueryType.AUTO, text='where is the chair?'), "label 'chair'"),
    }


BAD_REQUESTS = bad_requests(np.zeros((240, 320, 3), np.uint8))


@pytest.mark.parametrize('name', BAD_REQUESTS)
def test_a_bad_request_says_what_is_wrong(easy, name, state_hash):
    query, words = BAD_REQUESTS[name]
    before, queries = state_hash(easy), easy.status().queries
    answer = easy.query(query)
    assert answer.code == ResultCode.BAD_REQUEST, answer
    assert words in answer.message
    assert answer.instances == () and np.isnan(answer.value)
    assert state_hash(easy) == before and easy.status().queries == queries + 1


REFUSED_WITHOUT_NAMES = {
    'count by name': (QueryType.COUNT, 'name', "label 'chair' needs a model that knows names"),
    'count by picture': (QueryType.COUNT, 'picture', 'COUNT does not go by a picture'),
    'count of nothing': (QueryType.COUNT, '', 'COUNT goes by name, which needs a model'),
    'size by name': (QueryType.SIZE, 'name', "label 'chair' needs a model that knows names"),
    'size by picture': (QueryType.SIZE, 'picture', 'SIZE of a picture needs'),
    'size of nothing': (QueryType.SIZE, '', 'SIZE goes by name, which needs a model'),
    'order of one': (QueryType.ORDER, 'picture', 'two things or more, got 1; give all of them'),
    'order of nothing': (QueryType.ORDER, '', 'two things or more, got 0'),
    'room by picture': (QueryType.ROOM_SIZE, 'picture', 'does not know which walls make a room'),
}


@pytest.mark.parametrize('name', REFUSED_WITHOUT_NAMES)
def test_what_a_memory_without_names_cannot_tell_is_refused_with_the_reason(room, example, name):
    kind, given, words = REFUSED_WITHOUT_NAMES[name]
    parts = {'name': {'labels': ('chair',)}, 'picture': {'examples': (example,)}, '': {}}[given]
    answer = ask(room, kind, **parts)
    assert answer.code == ResultCode.BAD_REQUEST and words in answer.message
    if 'knows names' in answer.message:
        assert "'untrained' knows none; ask LOCATE, EXISTS" in answer.message


def test_the_order_of_pictures_needs_no_names(easy, shown):
    pictures = [shown[name][0] for name in ('desk_2.monitor', 'table.rug')]
    answer = ask(easy, QueryType.ORDER, examples=tuple(pictures))
    assert_whole(answer, easy)
    found = [ask(easy, QueryType.LOCATE, examples=(one,)).instances[0] for one in pictures]
    first = [i.first_seen_ns for i in answer.instances]
    assert first == sorted(i.first_seen_ns for i in found) and answer.value == 2.0
    words = ask(easy, QueryType.ORDER, examples=(pictures[0],), labels=(f'#{found[1].id}',))
    assert words.code == ResultCode.OK and f'#{found[1].id}' in words.sentence


def test_a_question_in_words_about_a_picture(easy, example):
    answer = ask(easy, QueryType.AUTO, text='where is this?', examples=(example,))
    direct = ask(easy, QueryType.LOCATE, examples=(example,))
    assert answer.code == ResultCode.OK
    assert np.array_equal(answer.instances[0].position, direct.instances[0].position)


def test_a_defect_is_an_answer_not_an_exception(room, example, caplog):
    """Nothing that a caller of the core can do wrong ends the node."""
    broken = replace(Query(QueryType.LOCATE, examples=(example,)), viewpoint='here')
    answer = room.query(broken)
    assert answer.code == ResultCode.INTERNAL and 'report the log' in answer.message
    assert 'Traceback' in caplog.text


@pytest.mark.parametrize('confidence', [0.95, 0.7, 0.3])
def test_who_may_mean_the_wrong_thing_says_so_in_every_interval(confidence):
    """What is unsure has intervals that hold 90 % of the errors, those of another thing too."""
    thing = Instance(1, 'chair', np.array([2.0, 0, 0]), 1e-4 * np.eye(3), np.ones(3), 1.0, 1, 1, 1)
    unsure = replace(thing, confidence=confidence)
    here = np.zeros(3)
    pairs = [
        (intervals.range_interval(one, here, sure=one.confidence) for one in (thing, unsure)),
        (intervals.bearing_interval(one, 0.3, 2.0) for one in (thing, unsure)),
        (intervals.edge_interval(one) for one in (thing, unsure)),
        (intervals.gap_interval(thing, replace(one, id=2)) for one in (thing, unsure)),
    ]
    for sure, doubtful in pairs:
        assert doubtful[0] <= sure[0] and doubtful[1] >= sure[1]
        # Up to one in ten may be wrong: then the interval need not hold the other thing.
        wide = doubtful[1] - sure[1] > 0.2
        assert wide == (confidence < 0.9)
    low, high = intervals.bearing_interval(unsure, 0.3, 2.0)
    assert 0.3 - np.pi <= low < 0.3 < high <= 0.3 + np.pi
