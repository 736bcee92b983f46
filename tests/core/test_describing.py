# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""DESCRIBE tells names: of things, of what is in a box, at a point and around the observer."""

from __future__ import annotations

import numpy as np
import pytest
from toy_flat import CHAIRS, FLAT, LABELS, SHELF, START, TABLE, Item, fed, panorama

from ros2_spatial_ttt.query.describer import HERE_M, NEAR_M
from ros2_spatial_ttt.types import Query, QueryType, Region, ResultCode

pytestmark = pytest.mark.ort

MUG = Item('mug', (2.0, -0.5, 1.0), (0.3, 0.3, 0.3))
FURNISHED = (*FLAT, MUG)


@pytest.fixture(scope='module')
def flat(make_memory):
    return fed(make_memory(votes__labels=','.join(LABELS)), panorama(FURNISHED))


def ask(memory, *labels, **parts):
    return memory.query(Query(QueryType.DESCRIBE, labels=labels, **parts))


def say(memory, text, **parts):
    return memory.query(Query(QueryType.AUTO, text=text, **parts))


def around(point, reach) -> Region:
    low, high = np.subtract(point, reach), np.add(point, reach)
    return Region(tuple(map(float, low)), tuple(map(float, high)))


def at(point) -> Region:
    return around(point, 0.0)


def standing(x, y, z=1.2):
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def labels(answer):
    return [one.label for one in answer.instances]


# Boxes.


def test_a_box_lists_the_named_things_in_it_best_first(flat):
    answer = ask(flat, region=Region((1.0, -1.5, 0.0), (3.0, 1.5, 1.5)))
    assert answer.code == ResultCode.OK
    assert sorted(labels(answer)) == ['chair', 'chair', 'mug']
    sure = [one.confidence for one in answer.instances]
    assert sure == sorted(sure, reverse=True)
    assert '2 × chair' in answer.sentence and 'mug' in answer.sentence
    assert 'of it was observed' in answer.sentence, 'the numbers are as they were'
    assert answer.value_low <= answer.value <= answer.value_high and answer.unit == '1'
    assert 0.5 <= answer.confidence <= 1.0


def test_a_box_lists_no_more_than_was_asked_for(flat):
    answer = ask(flat, region=Region((1.0, -1.5, 0.0), (3.0, 1.5, 1.5)), max_results=1)
    assert len(answer.instances) == 1 and '2 × chair' in answer.sentence


def test_a_box_does_not_list_what_is_outside_of_it_or_of_the_time(flat):
    table = ask(flat, region=around(TABLE.centre, 0.8))
    assert labels(table) == ['table']
    before = ask(flat, region=around(TABLE.centre, 0.8), until_ns=START - 1)
    assert labels(before) == []


def test_a_box_of_a_memory_without_names_has_numbers_only(room):
    answer = ask(room, region=Region((-1, -1, 0), (1, 1, 1.5)))
    assert answer.code == ResultCode.OK and answer.instances == ()
    assert 'In it' not in answer.sentence


# Points.


def test_a_point_in_a_thing_is_told_with_its_name(flat):
    inside = ask(flat, region=at(CHAIRS[0].centre))
    assert labels(inside)[0] == 'chair' and inside.sentence.startswith('chair is there.')
    plain = ask(flat, region=at((0.9, 1.0, 0.8)))
    assert plain.code == ResultCode.NOT_FOUND and plain.instances == ()
    assert plain.sentence == 'I looked there: it is free space.'


def test_what_stands_in_another_thing_is_meant_first(make_memory):
    memory = make_memory(votes__labels=','.join(LABELS))
    mug = Item('mug', (0.3, 3.0, 1.4), (0.2, 0.15, 0.2))
    for item in panorama((SHELF, mug)):
        assert memory.feed_percept(item).accepted
    memory.flush()
    assert labels(ask(memory, region=at(mug.centre)))[:2] == ['mug', 'shelf']
    located = memory.query(Query(QueryType.LOCATE, region=at(mug.centre)))
    assert located.sentence.startswith('That is the mug.')


def test_code_and_value_are_of_the_point_itself(flat):
    front = np.subtract(CHAIRS[0].centre, (0.22, 0.0, 0.0))
    for point in (front, CHAIRS[0].centre):
        answer = ask(flat, region=at(point))
        here = flat.read(np.array([point], float))
        observed = here.observed[0] > 0.5
        surface = observed and here.occupied[0] > 0.5 * here.observed[0]
        expected = ResultCode.OK if surface else ResultCode.NOT_FOUND
        assert answer.code == (expected if observed else ResultCode.NEVER_OBSERVED)
        assert answer.value_low <= answer.value <= answer.value_high


# Things.


def test_a_thing_is_described_by_its_name(flat):
    answer = ask(flat, 'table')
    assert answer.code == ResultCode.OK and answer.value == 1.0 and answer.unit == '1'
    table = answer.instances[0]
    assert table.label == 'table' and np.linalg.norm(table.position - TABLE.centre) < 0.05
    assert answer.confidence == table.confidence
    for words in (
        'The table is at (-2.0',
        'm high',
        f'first seen at {1e-9 * table.first_seen_ns:.1f} s',
        f'last at {1e-9 * table.last_seen_ns:.1f} s',
    ):
        assert words in answer.sentence


def test_what_is_near_a_thing_is_told_nearest_first(flat):
    answer = ask(flat, 'mug')
    assert labels(answer) == ['mug', 'chair', 'chair']
    assert answer.sentence.count('chair (') == 2 and 'Near it: ' in answer.sentence
    assert np.linalg.norm(answer.instances[1].position - CHAIRS[1].centre) < 0.05
    alone = ask(flat, 'shelf')
    assert labels(alone) == ['shelf'] and 'Near it' not in alone.sentence
    assert NEAR_M < 1.6, 'the shelf is 1.6 m from the table'


def test_of_several_things_the_surest_is_described(flat):
    answer = ask(flat, 'chairs')
    assert answer.value == 2.0 and 'I know of 2, the surest: the chair is at' in answer.sentence
    one = ask(flat, 'chair', region=at(CHAIRS[1].centre))
    assert np.linalg.norm(one.instances[0].position - CHAIRS[1].centre) < 0.05


def test_an_object_of_an_earlier_answer_is_described(flat):
    (shelf,) = flat.query(Query(QueryType.LOCATE, labels=('shelf',))).instances
    answer = ask(flat, f'#{shelf.id}')
    assert answer.code == ResultCode.OK and answer.instances[0].id == shelf.id
    assert 'The shelf is at' in answer.sentence


def test_a_thing_that_is_not_there_is_absent_or_unknown(flat, make_memory):
    region = Region((-2.5, 0.5, 0.1), (-1.5, 1.5, 1.0))
    absent = ask(flat, 'chair', region=region)
    assert absent.code == ResultCode.NOT_FOUND
    unknown = ask(flat, 'unicorn')
    assert unknown.code == ResultCode.BAD_REQUEST and 'chair, table' in unknown.message
    two = ask(flat, 'chair', 'table')
    assert two.code == ResultCode.BAD_REQUEST and 'got 2' in two.message
    empty = ask(make_memory(votes__labels=','.join(LABELS)), 'chair')
    assert empty.code == ResultCode.NEVER_OBSERVED


def test_the_place_of_a_picture_is_described(make_memory, feed, tour, shown):
    memory = feed(make_memory(), tour)
    example, truth = shown['sofa_2.back']
    answer = ask(memory, examples=(example,))
    assert answer.code == ResultCode.OK and answer.value_low <= answer.value <= answer.value_high
    place = answer.instances[0]
    assert np.linalg.norm(place.position - truth) < 0.3 and len(answer.instances) == 1
    assert answer.sentence.startswith('It is at (') and 'a keyframe confirms it' in answer.sentence
    assert f'first seen at {1e-9 * place.first_seen_ns:.1f} s' in answer.sentence


# Around the observer, and in words.


def test_here_is_a_box_around_the_viewpoint(flat):
    eye = standing(2.0, 1.5)
    answer = ask(flat, viewpoint=eye)
    assert labels(answer) == ['chair'], 'the other one is out of reach'
    same = ask(flat, region=around(eye[:3, 3], HERE_M))
    assert (answer.code, answer.value, answer.sentence) == (same.code, same.value, same.sentence)
    lost = say(flat, 'what is here?')
    assert lost.code == ResultCode.BAD_REQUEST and 'viewpoint' in lost.message


def test_descriptions_are_asked_for_in_words(flat):
    here = say(flat, 'What is here?', viewpoint=standing(2.0, 1.5))
    assert here.code == ResultCode.OK and labels(here) == ['chair']
    there = say(flat, 'what is at this point?', region=at(TABLE.centre))
    assert labels(there)[0] == 'table'
    for text in ('Describe the table.', 'tell me about the table', 'what is near the table?'):
        answer = say(flat, text, viewpoint=standing(2.0, 1.5))
        assert answer.code == ResultCode.OK and labels(answer)[0] == 'table'


@pytest.mark.parametrize('text', ['describe this', 'describe the sofa'])
def test_a_picture_stands_for_what_words_call_it(room, shown, text):
    example = shown['sofa_2.back'][0]
    answer = say(room, text, examples=(example,), viewpoint=standing(0.0, 0.0))
    assert answer.code == ResultCode.OK and answer.sentence.startswith('It is at (')
