# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Things by name: votes of a detector go in, every kind of question about names is answered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_flat import (
    CHAIRS,
    FLAT,
    LABELS,
    SECOND,
    SHELF,
    START,
    TABLE,
    Item,
    fed,
    look_from,
    panorama,
    percept,
)

from ros2_spatial_ttt.errors import SnapshotError
from ros2_spatial_ttt.memory.reader import Beliefs
from ros2_spatial_ttt.memory.votes import NAMES, vote_values
from ros2_spatial_ttt.query.intervals import Z90, around
from ros2_spatial_ttt.query.names import Reading, named_things
from ros2_spatial_ttt.types import Query, QueryType, Region, ResultCode

HERE = np.eye(4)


@pytest.fixture(scope='module')
def make(make_memory):
    def make(**parameters):
        return make_memory(votes__labels=','.join(LABELS), **parameters)

    return make


@pytest.fixture(scope='module')
def flat(make):
    return fed(make(), panorama(FLAT))


def ask(memory, kind, *labels, **parts):
    return memory.query(Query(kind, labels=labels, **parts))


def positions(answer):
    return np.array([instance.position for instance in answer.instances])


def test_things_are_located_by_name_with_size_and_yaw(flat):
    answer = ask(flat, QueryType.LOCATE, 'table')
    assert answer.code == ResultCode.OK and answer.value == 1.0
    table = answer.instances[0]
    assert np.linalg.norm(table.position - TABLE.centre) < 0.05
    assert table.size == pytest.approx(TABLE.size, abs=0.02)
    assert table.yaw == pytest.approx(TABLE.yaw, abs=0.02)
    assert table.label == 'table' and table.first_seen_ns >= START


def test_all_things_of_a_name_are_found_and_counted(flat):
    found = positions(ask(flat, QueryType.LOCATE, 'chairs'))
    truth = np.array([chair.centre for chair in CHAIRS])
    assert len(found) == 2
    assert np.linalg.norm(found[:, None] - truth[None], axis=2).min(axis=1).max() < 0.05
    count = ask(flat, QueryType.COUNT, 'Chair')
    assert count.value == 2.0 and count.value_low <= 2.0 <= count.value_high


def test_looking_again_does_not_inflate_the_count(make):
    memory = fed(make(), panorama(FLAT))
    for visit in range(1, 5):
        fed(memory, panorama(FLAT, begin_s=20.0 * visit, at=(0.1 * visit, 0.0)))
    assert ask(memory, QueryType.COUNT, 'chair').value == 2.0


def test_a_noisy_detector_still_gives_the_right_count_and_place(make):
    rng = np.random.default_rng(1)
    memory = make()
    for visit in range(3):
        fed(memory, panorama(FLAT, begin_s=20.0 * visit, rng=rng, miss=0.2, noise_m=0.08))
    answer = ask(memory, QueryType.LOCATE, 'chair')
    assert answer.value == 2.0
    truth = np.array([chair.centre for chair in CHAIRS])
    errors = np.linalg.norm(positions(answer)[:2, None] - truth[None], axis=2).min(axis=1)
    assert errors.max() < 0.12


def test_a_thing_that_was_moved_is_corrected_within_two_visits(make):
    moved = replace(CHAIRS[0], centre=(-1.0, -2.0, 0.45))
    memory = fed(make(), panorama(FLAT, frames=64))
    later = (CHAIRS[1], moved, TABLE, SHELF)
    fed(memory, panorama(later, begin_s=60.0))
    fed(memory, panorama(later, begin_s=80.0))
    sure = [i for i in ask(memory, QueryType.LOCATE, 'chair').instances if i.confidence >= 0.5]
    found = np.array([instance.position for instance in sure])
    assert len(found) == 2
    assert np.linalg.norm(found - moved.centre, axis=1).min() < 0.1
    assert ask(memory, QueryType.COUNT, 'table').value == 1.0, 'what stayed is still known'


def test_what_is_not_looked_at_does_not_fade(make):
    memory = fed(make(), panorama(FLAT))
    before = ask(memory, QueryType.LOCATE, 'shelf').instances[0].confidence
    away = look_from(0.0, 0.0, -np.pi / 2)  # the shelf is behind
    stare = [percept(FLAT, away, START + (100 + n) * SECOND) for n in range(200)]
    fed(memory, stare)
    assert ask(memory, QueryType.LOCATE, 'shelf').instances[0].confidence > before - 0.01


def test_seen_and_absent_is_not_never_observed(flat):
    assert ask(flat, QueryType.EXISTS, 'chair').code == ResultCode.OK
    assert ask(flat, QueryType.EXISTS, 'mug').code == ResultCode.NOT_FOUND
    seen = Region((-2.5, 0.5, 0.1), (-1.5, 1.5, 1.0))
    assert ask(flat, QueryType.EXISTS, 'chair', region=seen).code == ResultCode.NOT_FOUND
    far = Region((30.0, 30.0, 0.0), (32.0, 32.0, 2.0))
    assert ask(flat, QueryType.EXISTS, 'chair', region=far).code == ResultCode.NEVER_OBSERVED


def test_distance_is_between_the_closest_points_of_boxes(flat):
    answer = ask(flat, QueryType.DISTANCE, 'table', 'shelf')
    # Shelf: y from 2.85, x within 0.45. Table: corner nearest to it at yaw 0.5.
    cos, sin = np.cos(0.5), np.sin(0.5)
    corner = (-2.0 + 0.6 * cos - 0.4 * sin, 1.0 + 0.6 * sin + 0.4 * cos)
    truth = np.hypot(corner[0] + 0.45, corner[1] - 2.85)
    assert answer.value == pytest.approx(truth, abs=0.06) and answer.unit == 'm'
    assert answer.value_low <= answer.value <= answer.value_high


def test_direction_size_order_nearest(flat):
    answer = ask(flat, QueryType.DIRECTION, 'shelf', viewpoint=HERE)
    assert answer.value == pytest.approx(np.pi / 2, abs=0.05) and 'left' in answer.sentence
    size = ask(flat, QueryType.SIZE, 'shelf')
    assert size.value == pytest.approx(2.0, abs=0.03)
    order = ask(flat, QueryType.ORDER, 'table', 'shelf', 'chair')
    assert [i.label for i in order.instances] == ['chair', 'shelf', 'table']
    nearest = ask(flat, QueryType.NEAREST, 'shelf', 'table', 'chair')
    assert [i.label for i in nearest.instances] == ['table', 'chair']
    assert ask(flat, QueryType.NEAREST, 'chair', viewpoint=HERE).value == pytest.approx(
        np.linalg.norm(CHAIRS[0].centre), abs=0.1
    )


def test_questions_in_words_use_the_names(flat):
    answer = flat.query(Query(QueryType.AUTO, text='How many chairs are there?'))
    assert answer.value == 2.0
    answer = flat.query(Query(QueryType.AUTO, text='how far is the table from the shelf?'))
    assert answer.code == ResultCode.OK and answer.unit == 'm'


def test_an_unknown_name_is_refused_with_those_known(flat):
    answer = ask(flat, QueryType.LOCATE, 'unicorn')
    assert answer.code == ResultCode.BAD_REQUEST and 'chair, table, shelf, mug' in answer.message


def test_a_snapshot_keeps_named_things(flat, make, tmp_path, state_hash):
    flat.save(tmp_path / 'flat.safetensors')
    memory = make()
    memory.load(tmp_path / 'flat.safetensors')
    assert state_hash(memory) == state_hash(flat)
    assert ask(memory, QueryType.COUNT, 'chair').value == 2.0
    other = make(votes__scale_m=0.3)
    with pytest.raises(SnapshotError, match='votes is'):
        other.load(tmp_path / 'flat.safetensors')


def test_forgetting_a_region_takes_its_things(make):
    memory = fed(make(), panorama(FLAT))
    memory.forget(Region((1.0, -1.5, -0.2), (3.0, 1.5, 2.0)))
    assert ask(memory, QueryType.LOCATE, 'chair').code != ResultCode.OK
    assert ask(memory, QueryType.COUNT, 'shelf').value == 1.0


def test_forgetting_a_time_takes_what_was_seen_only_then(make):
    late = Item('mug', (1.0, 1.5, 0.8), (0.3, 0.3, 0.3))
    memory = fed(make(), panorama(FLAT))
    fed(memory, panorama((*FLAT, late), begin_s=60.0))
    assert ask(memory, QueryType.COUNT, 'mug').value == 1.0
    memory.forget(since_ns=START + 30 * SECOND)
    assert ask(memory, QueryType.COUNT, 'mug').code == ResultCode.NOT_FOUND
    assert ask(memory, QueryType.COUNT, 'chair').value == 2.0


def test_since_and_until_limit_names(flat):
    begin = ask(flat, QueryType.LOCATE, 'table').instances[0].first_seen_ns
    early = ask(flat, QueryType.LOCATE, 'table', until_ns=begin - 1)
    assert early.code == ResultCode.NOT_FOUND


@pytest.mark.parametrize('rule', ['gd', 'hebbian', 'muon'])
def test_other_rules_find_a_thing_after_one_turn(make, rule):
    memory = fed(make(votes__rule=rule), panorama(FLAT))
    best = ask(memory, QueryType.LOCATE, 'table').instances[0]
    assert np.linalg.norm(best.position - TABLE.centre) < 0.15


def test_without_weights_nothing_is_known(make):
    memory = fed(make(), panorama(FLAT))
    state = memory.state
    blank = {
        index: replace(tile, votes=replace(tile.votes, weight=0.0 * tile.votes.weight))
        if tile.votes
        else tile
        for index, tile in state.tiles.items()
    }
    memory.restore(replace(state, tiles=blank))
    assert ask(memory, QueryType.LOCATE, 'chair').code == ResultCode.NOT_FOUND


def poor(one, worth):
    return replace(one, worth=np.full(len(one.labels), worth))


@pytest.mark.parametrize(('worth', 'name'), [(1.0, 'shelf'), (0.05, 'table')])
def test_many_poor_looks_do_not_outvote_a_few_good_ones(make, worth, name):
    """A table that is then taken for a shelf in twice as many frames, from afar."""
    wrong = panorama((replace(TABLE, label='shelf'),), frames=64, begin_s=60.0)
    memory = fed(make(), panorama((TABLE,), frames=32))
    fed(memory, [poor(one, worth) for one in wrong])
    other = {'shelf': 'table', 'table': 'shelf'}[name]
    assert ask(memory, QueryType.COUNT, name).value == 1.0
    assert ask(memory, QueryType.COUNT, other).value == 0.0


def test_what_poor_looks_make_up_is_not_counted_after_hours(make):
    """In every frame that shows it, a part of the table passes for a chair: 250 looks."""
    made_up = Item('chair', (-2.0, 0.2, 0.45))
    memory = fed(make(), panorama(FLAT))
    away = look_from(0.0, 0.0, np.pi)
    seen, wrong = (percept(of, away, START) for of in ((TABLE,), (TABLE, made_up)))
    worth = np.where(np.array(wrong.labels) == 'chair', 0.1, 1.0)
    for number in range(250):
        stamp = START + (30 + number) * SECOND
        look = replace(wrong, stamp_ns=stamp, surface=seen.surface, free=seen.free, worth=worth)
        assert memory.feed_percept(look).accepted
    assert ask(memory, QueryType.COUNT, 'chair').value == 2.0
    assert ask(memory, QueryType.COUNT, 'table').value == 1.0


GOOD = percept(FLAT, look_from(0.0, 0.0, 0.0), START)
BAD = {
    'unknown name': (replace(GOOD, labels=('unicorn', *GOOD.labels[1:])), 'set votes.labels'),
    'one size too few': (replace(GOOD, size=GOOD.size[1:]), 'size of 2 things'),
    'flat points': (replace(GOOD, surface=GOOD.surface[:, :2]), 'surface must be'),
    'not finite': (replace(GOOD, centre=GOOD.centre * np.nan), 'centre holds numbers'),
    'negative weight': (replace(GOOD, weight=-GOOD.weight), 'must not be negative'),
    'negative worth': (replace(GOOD, worth=-GOOD.weight), 'must not be negative'),
    'negative guess': (replace(GOOD, guessed=-GOOD.weight), 'must not be negative'),
    'guesses of another number': (replace(GOOD, guessed=np.zeros(9)), 'guessed of'),
    'one worth too few': (replace(GOOD, worth=GOOD.weight[1:]), 'worth of 2 things'),
    'no pose': (replace(GOOD, map_T_camera=np.full((4, 4), np.nan)), 'must be (4, 4)'),
}


@pytest.mark.parametrize('name', BAD)
def test_a_bad_percept_is_refused_and_changes_nothing(make, name, state_hash):
    memory = make()
    bad, words = BAD[name]
    before = state_hash(memory)
    result = memory.feed_percept(bad)
    assert not result.accepted and words in result.message
    assert memory.status().refused and state_hash(memory) == before


def test_a_percept_must_follow_the_one_before(make):
    memory = make()
    assert memory.feed_percept(GOOD).accepted
    assert memory.feed_percept(GOOD).refused == 'stamp_repeat'


def test_a_memory_without_names_refuses_named_percepts(make_memory):
    result = make_memory().feed_percept(GOOD)
    assert result.refused == 'percept' and 'it knows none' in result.message


@pytest.mark.parametrize('guessed', [0.0, 1.0])
def test_what_was_seen_without_depth_is_read_in_its_own_way(make, guessed):
    memory = make()
    fed(memory, [replace(p, guessed=np.full(len(p.labels), guessed)) for p in panorama(FLAT)])
    beliefs = memory._reader.beliefs(memory.state)
    own = Reading().with_guessed(Reading(bias=-0.5, error_m=0.2))
    table = named_things(beliefs, LABELS.index('table'), reading=own)[0]
    alike = named_things(beliefs, LABELS.index('table'), reading=own.suited(guessed))[0]
    assert table.confidence == alike.confidence and table.features[3] == guessed
    assert table.peak.covariance[2, 2] >= (0.2**2 if guessed else 0.0)
    assert table.peak.covariance[2, 2] < (0.3**2 if guessed else 0.1**2)


def believed(*places):
    """Return beliefs; a place is (name, x, y, size, score)."""
    label = np.array([LABELS.index(name) for name, *_ in places])
    size = np.array([size for *_, size, _ in places])
    score = np.array([place[-1] for place in places])
    none, sure = np.zeros(len(label)), np.ones(len(label))
    values = vote_values(label, size, none, sure, none, labels=len(LABELS))
    stamps = np.full(len(label), START)
    return Beliefs(
        points=np.array([(x, y, 0.5) for _, x, y, *_ in places]),
        values=values.astype(np.float64) * score[:, None],
        first_seen_ns=stamps,
        last_seen_ns=stamps,
        count=np.ones(len(label), np.int32),
    )


WIDE, CUBE = (2.0, 0.5, 0.8), (0.4, 0.4, 0.4)
# What is believed, and how many shelves there are.
NEIGHBOURS = {
    'scattered along a wide thing': (
        [('shelf', 0, 0, WIDE, 0.9), ('shelf', 0.9, 0, WIDE, 0.8)],
        1,
    ),
    'two wide things back to back': (
        [('shelf', 0, 0, WIDE, 0.9), ('shelf', 0, 0.9, WIDE, 0.8)],
        2,
    ),
    'two small ones side by side': ([('shelf', 0, 0, CUBE, 0.9), ('shelf', 0.5, 0, CUBE, 0.8)], 2),
    'taken for a shelf now and then': (
        [('table', 0, 0, CUBE, 0.9), ('shelf', 0.1, 0, CUBE, 0.8)],
        0,
    ),
    'a table beneath a shelf': ([('table', 0, 0, WIDE, 0.9), ('shelf', 0.1, 0, CUBE, 0.8)], 1),
    'hardly believed': ([('shelf', 0, 0, CUBE, 0.02)], 0),
}


@pytest.mark.parametrize('name', NEIGHBOURS)
def test_places_of_one_thing_are_one_thing(name):
    places, count = NEIGHBOURS[name]
    assert len(named_things(believed(*places), LABELS.index('shelf'))) == count


def test_confidence_and_error_follow_the_reading():
    beliefs = believed(('shelf', 0, 0, WIDE, 0.5))
    reading = Reading(bias=1.0, score=3.0, edge=-2.0, error_m=0.03, error_share=0.02)
    (thing,) = named_things(beliefs, LABELS.index('shelf'), reading=reading)
    assert thing.confidence == pytest.approx(1 / (1 + np.exp(-1.0 + 2.0 * np.log(2.0))))
    assert np.diag(thing.peak.covariance) == pytest.approx(3 * [0.03**2 + 0.04**2])
    assert Reading.from_manifest(reading.to_manifest()) == reading
    assert Reading.from_manifest({}) == Reading()


def test_a_name_that_is_often_mistaken_is_trusted_less():
    beliefs = believed(('shelf', 0, 0, WIDE, 0.5), ('table', 5, 0, WIDE, 0.5))
    doubtful = {LABELS.index('shelf'): -2.0}
    reading = Reading(names=tuple(doubtful.get(n, 0.0) for n in range(len(LABELS))))
    of = {name: LABELS.index(name) for name in ('shelf', 'table')}
    (shelf,), (table,) = (named_things(beliefs, of[name], reading=reading) for name in of)
    assert log_odds(shelf.confidence) == pytest.approx(log_odds(table.confidence) - 2.0)
    assert Reading.from_manifest(reading.to_manifest(LABELS), LABELS) == reading


def log_odds(probability):
    return np.log(probability / (1.0 - probability))


def test_an_interval_is_as_wide_as_its_doubt():
    assert around(1.0, 0.1) == pytest.approx((1.0 - 0.1 * Z90, 1.0 + 0.1 * Z90))
    rng = np.random.default_rng(0)
    for sure in (0.95, 0.8, 0.5):
        right = rng.random(20_000) < sure
        truth = rng.standard_normal(20_000) * np.where(right, 0.1, 2.0)
        low, high = around(0.0, 0.1, sure=sure, otherwise=2.0)
        assert ((truth > low) & (truth < high)).mean() == pytest.approx(0.9, abs=0.01)


def vague(chances, *, x=0.0):
    """Return beliefs of one place that gives each name of ``chances`` that read score."""
    beliefs = believed(('chair', x, 0, CUBE, 1.0))
    scores = [chances.get(name, 0.0) for name in LABELS]
    beliefs.values[0, NAMES] = scores
    return beliefs


def test_a_name_that_another_is_mostly_taken_for_is_a_guess_and_says_so():
    beliefs = vague({'table': 0.7, 'shelf': 0.25})
    shelves, mugs = (named_things(beliefs, LABELS.index(name)) for name in ('shelf', 'mug'))
    assert len(shelves) == 1 and not mugs, 'what nobody ever said is no guess'
    assert shelves[0].confidence < 0.1
    assert shelves[0].peak.position == pytest.approx((0.0, 0.0, 0.5))


def test_a_thing_beside_a_surer_one_of_its_name_is_likely_the_same():
    reading = Reading(beside=-3.0)
    near, far = (
        named_things(
            believed(('shelf', 0, 0, CUBE, 0.9), ('shelf', x, 0, CUBE, 0.6)),
            LABELS.index('shelf'),
            reading=reading,
        )
        for x in (0.5, 5.0)
    )
    assert near[0].confidence == far[0].confidence, 'the surer one is not doubted'
    nearness = np.exp(-((0.5 / 0.8) ** 2))
    change = log_odds(far[1].confidence) - log_odds(near[1].confidence)
    assert change == pytest.approx(3.0 * nearness, abs=1e-6)


def test_what_is_nowhere_sure_is_guessed_where_it_is_taken_for_granted(make):
    mistaken = panorama((*CHAIRS, replace(TABLE, label='shelf')), frames=32, begin_s=60.0)
    memory = fed(make(), panorama((*CHAIRS, TABLE), frames=64))
    fed(memory, mistaken)
    assert ask(memory, QueryType.COUNT, 'shelf').value == 0.0
    assert ask(memory, QueryType.EXISTS, 'shelf').code == ResultCode.NOT_FOUND
    guess = ask(memory, QueryType.DISTANCE, 'shelf', 'chair')
    sure = ask(memory, QueryType.DISTANCE, 'table', 'chair')
    assert guess.code == ResultCode.OK and guess.value == pytest.approx(sure.value, abs=0.3)
    assert guess.confidence < 0.4 < sure.confidence
    assert 'a guess' in guess.message and guess.sentence.startswith('A guess: ')
    assert not sure.message and 'guess' not in sure.sentence
    width = [answer.value_high - answer.value_low for answer in (guess, sure)]
    assert width[0] > 2.0 * width[1]
