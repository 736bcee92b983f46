# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions by a point, and questions by a picture of things that have names."""

from __future__ import annotations

import numpy as np
import pytest
from toy_flat import CHAIRS, FLAT, LABELS, SHELF, TABLE, fed, panorama

from ros2_spatial_ttt.query.inventory import holds
from ros2_spatial_ttt.types import Percept, Query, QueryType, Region, ResultCode

pytestmark = pytest.mark.ort

# Seen and free, and never seen.
FREE, FAR = (0.9, 1.0, 0.8), (30.0, 30.0, 1.0)
BY_POINT = (QueryType.LOCATE, QueryType.EXISTS, QueryType.SIZE)
MONITOR = (0.62, 0.04, 0.38)


@pytest.fixture(scope='module')
def flat(make_memory):
    return fed(make_memory(votes__labels=','.join(LABELS)), panorama(FLAT))


def detected(scene, frame, number) -> Percept:
    """Return the monitors and drawers of the desks within 5 m before a frame's camera."""
    seen = []
    for box in scene.boxes:
        _, _, part = box.name.partition('.')
        local = (np.linalg.inv(frame.map_T_camera) @ [*box.centre, 1.0])[:3]
        if part in ('monitor', 'drawers') and 0.4 < local[2] < 5.0 and abs(local[0]) < local[2]:
            seen.append((part, local, box))
    size = np.array([box.size for *_, box in seen]).reshape(-1, 3)
    turned = size[:, 1] > size[:, 0]
    size[turned, :2] = size[turned, 1::-1]
    nothing = np.zeros((0, 3))
    return Percept(
        camera='detector',
        stamp_ns=frame.stamp_ns + number + 1,
        map_T_camera=frame.map_T_camera,
        labels=tuple(part for part, *_ in seen),
        centre=np.array([local for _, local, _ in seen]).reshape(-1, 3),
        size=size,
        yaw=np.array([box.yaw for *_, box in seen]) + np.pi / 2 * turned,
        weight=np.ones(len(seen)),
        surface=nothing,
        free=nothing,
    )


@pytest.fixture(scope='module')
def office(make_memory, feed, scene, tour):
    """The rendered room, and a detector that names what is on and below its desks."""
    memory = feed(make_memory(votes__labels='monitor,drawers'), tour)
    for number, frame in enumerate(tour):
        result = memory.feed_percept(detected(scene, frame, number))
        assert result.accepted, result
    memory.flush()
    return memory


def ask(memory, kind, *labels, **parts):
    return memory.query(Query(kind, labels=labels, **parts))


def at(point) -> Region:
    x, y, z = map(float, point)
    return Region((x, y, z), (x, y, z))


def on_top(scene):
    table = scene.box('table.top')
    return np.array(table.centre) + [0.0, 0.0, table.size[2] / 2]


def assert_sound(answer):
    """What holds for every answer that has a value."""
    assert answer.value_low <= answer.value <= answer.value_high and answer.unit
    assert 0.0 < answer.confidence <= 1.0 and answer.sentence


# A name at a point.


@pytest.mark.parametrize('kind', [QueryType.LOCATE, QueryType.EXISTS, QueryType.COUNT])
@pytest.mark.parametrize('off', [(0.0, 0.0, 0.0), (0.1, 0.1, -0.3)], ids=['centre', 'inside'])
def test_a_named_thing_is_at_every_point_of_its_box(flat, kind, off):
    answer = ask(flat, kind, 'chair', region=at(np.add(CHAIRS[0].centre, off)))
    assert answer.code == ResultCode.OK and answer.value == 1.0
    assert_sound(answer)
    assert np.linalg.norm(answer.instances[0].position - CHAIRS[0].centre) < 0.05


def test_a_named_thing_is_not_at_a_point_outside_of_its_box(flat):
    elsewhere = ask(flat, QueryType.LOCATE, 'chair', region=at(np.add(CHAIRS[0].centre, 0.6)))
    assert elsewhere.code != ResultCode.OK
    other = ask(flat, QueryType.LOCATE, 'table', region=at(CHAIRS[0].centre))
    assert other.code != ResultCode.OK


def test_a_box_holds_what_its_doubt_allows_along_its_own_axes():
    centre, size = np.zeros(3), np.array([2.0, 0.2, 0.2])
    exact, vague = 1e-8 * np.eye(3), np.diag([1e-8, 0.1**2, 1e-8])
    assert holds(centre, exact, size, 0.0, np.array([0.9, 0.0, 0.0]))
    assert not holds(centre, exact, size, np.pi / 2, np.array([0.9, 0.0, 0.0]))
    assert not holds(centre, exact, size, 0.0, np.array([0.0, 0.35, 0.0]))
    assert holds(centre, vague, size, 0.0, np.array([0.0, 0.35, 0.0]))
    # Turned by a quarter, what is unsure along y of the map is so along the box.
    assert not holds(centre, vague, size, np.pi / 2, np.array([0.35, 0.0, 0.0]))


def test_a_picture_is_looked_for_around_a_point(make_memory, feed, tour, shown):
    memory = feed(make_memory(read__found_threshold=0.001), tour)
    example, truth = shown['sofa_2.back']
    there = ask(memory, QueryType.LOCATE, examples=(example,), region=at(truth))
    assert there.code == ResultCode.OK
    assert np.linalg.norm(there.instances[0].position - truth) < 0.3
    wrong = ask(memory, QueryType.LOCATE, examples=(example,), region=at((1.3, 0.0, 1.4)))
    assert wrong.code == ResultCode.NOT_FOUND and not wrong.instances


# A point alone.


@pytest.mark.parametrize('kind', BY_POINT)
def test_what_is_at_a_point_has_its_name(flat, kind):
    answer = ask(flat, kind, region=at(TABLE.centre))
    assert answer.code == ResultCode.OK and answer.instances[0].label == 'table'
    assert 'the table' in answer.sentence
    assert_sound(answer)
    if kind == QueryType.SIZE:
        assert answer.value == pytest.approx(1.2, abs=0.03) and answer.unit == 'm'


@pytest.mark.parametrize('text', ['where is this?', 'is there anything here?', 'how big is it?'])
def test_a_point_stands_for_this_in_words(flat, text):
    answer = flat.query(Query(QueryType.AUTO, text=text, region=at(SHELF.centre)))
    assert answer.code == ResultCode.OK and answer.instances[0].label == 'shelf'


@pytest.mark.parametrize('kind', BY_POINT)
def test_what_is_at_no_thing_is_absent_or_never_observed(flat, kind):
    free, far = (ask(flat, kind, region=at(point)) for point in (FREE, FAR))
    assert free.code == ResultCode.NOT_FOUND and 'no thing of a name' in free.message
    assert far.code == ResultCode.NEVER_OBSERVED
    assert not free.instances and not far.instances


def test_a_point_of_a_surface_without_a_name_exists(room, scene):
    answer = ask(room, QueryType.EXISTS, region=at(on_top(scene)))
    assert answer.code == ResultCode.OK and answer.sentence.startswith('Yes. There is a')
    assert_sound(answer)
    assert ask(room, QueryType.EXISTS, region=at((1.3, 0.0, 1.4))).code == ResultCode.NOT_FOUND


def test_what_looks_like_a_point_is_found_without_a_picture(room, scene):
    rug = scene.box('table.rug')
    point = np.array([*rug.centre[:2], rug.size[2]]) + [0.7, 0.3, 0.0]
    answer = ask(room, QueryType.LOCATE, region=at(point), max_results=6)
    assert answer.code == ResultCode.OK and 'look like it' in answer.sentence
    assert_sound(answer)
    found = np.array([one.position for one in answer.instances])
    assert len(found) == 6 and np.linalg.norm(found[0] - point) < 0.25, 'itself is likest'
    local = np.array([np.linalg.inv(rug.pose()) @ [*place, 1.0] for place in found])[:, :3]
    on_rug = (np.abs(local[:, :2]) < np.array(rug.size[:2]) / 2).all(axis=1)
    assert on_rug[:3].all(), 'most of what looks like the rug is rug'


def test_a_free_point_looks_like_nothing(room):
    answer = ask(room, QueryType.LOCATE, region=at((1.3, 0.0, 1.4)))
    assert answer.code == ResultCode.NOT_FOUND and 'no surface is at that point' in answer.message


def test_the_size_at_a_point_needs_names(room, scene):
    answer = ask(room, QueryType.SIZE, region=at(on_top(scene)))
    assert answer.code == ResultCode.BAD_REQUEST and "'untrained' knows none" in answer.message


# Pictures, in a memory with names.


def test_the_size_of_a_picture_is_that_of_the_thing_there(office, shown):
    answer = ask(office, QueryType.SIZE, examples=(shown['desk_2.monitor'][0],))
    assert answer.code == ResultCode.OK, answer
    assert answer.value == pytest.approx(max(MONITOR), abs=0.05) and answer.unit == 'm'
    assert_sound(answer)
    place, thing = answer.instances
    assert (place.label, thing.label) == ('', 'monitor') and 'the monitor' in answer.sentence
    assert answer.confidence == pytest.approx(place.confidence * thing.confidence)
    again = ask(office, QueryType.SIZE, f'#{place.id}')
    assert again.value == pytest.approx(answer.value)
    named = ask(office, QueryType.SIZE, f'#{thing.id}')
    assert named.value == pytest.approx(answer.value)


def test_the_size_of_a_place_without_a_name_is_not_made_up(office, shown):
    answer = ask(office, QueryType.SIZE, examples=(shown['table.rug'][0],))
    assert answer.code == ResultCode.NOT_FOUND and 'size is not known' in answer.message
    assert answer.instances, 'the place itself'


def test_the_order_of_a_name_and_a_picture(office, shown):
    answer = ask(office, QueryType.ORDER, 'drawers', examples=(shown['table.rug'][0],))
    assert answer.code == ResultCode.OK and len(answer.instances) == 2
    alone = ask(office, QueryType.ORDER, examples=(shown['table.rug'][0],))
    assert alone.code == ResultCode.BAD_REQUEST and 'got 1; give all of them' in alone.message
    assert 'knows none' not in alone.message


REFUSED = {
    'count by picture': (QueryType.COUNT, True, 'name the things instead, or ask LOCATE'),
    'count of nothing': (QueryType.COUNT, False, 'got none; this memory knows '),
    'size of nothing': (QueryType.SIZE, False, 'SIZE needs one name or one example image'),
    'order of nothing': (QueryType.ORDER, False, 'two things or more, got 0'),
    'room by picture': (QueryType.ROOM_SIZE, True, 'does not know which walls make a room'),
}


@pytest.mark.parametrize('model', ['nano', 'named'])
@pytest.mark.parametrize('name', REFUSED)
def test_a_memory_with_names_does_not_say_that_it_has_none(
    make_memory, office, example, model, name
):
    memory = office if model == 'named' else make_memory(model='nano')
    kind, pictured, words = REFUSED[name]
    answer = ask(memory, kind, examples=(example,) if pictured else ())
    assert answer.code == ResultCode.BAD_REQUEST and words in answer.message
    assert 'knows none' not in answer.message


@pytest.fixture(scope='module')
def example(shown):
    return shown['desk_2.monitor'][0]


def test_a_room_is_not_measured_by_what_stands_in_it(flat):
    for query in (
        Query(QueryType.AUTO, text='How big is the room with the shelf?'),
        Query(QueryType.ROOM_SIZE, labels=('shelf',)),
        Query(QueryType.ROOM_SIZE, region=at(SHELF.centre)),
    ):
        answer = flat.query(query)
        assert answer.code == ResultCode.BAD_REQUEST
        assert 'give the box of the room as region' in answer.message
    assert flat.query(Query(QueryType.ROOM_SIZE)).code == ResultCode.OK


def test_nearest_to_a_picture_has_a_name_to_call_it_by(office, shown):
    pictures = (shown['desk_2.monitor'][0], shown['desk_2.drawers'][0])
    answer = ask(office, QueryType.NEAREST, examples=pictures)
    assert answer.code == ResultCode.OK
    assert f'Nearest is #{answer.instances[0].id},' in answer.sentence
