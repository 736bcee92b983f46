# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions about a home by hand (``hand_home``), whose answers were worked out by hand."""

from __future__ import annotations

import cmath
import json
import math
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hand_home import THINGS, VIEWS, S, hand_episode, hand_home, thing
from truth_source import TruthSource

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam.answering import respond
from ros2_spatial_ttt.exam.asking import make_questions, questions_json
from ros2_spatial_ttt.exam.asking.directions import directions
from ros2_spatial_ttt.exam.asking.evidence import Evidence
from ros2_spatial_ttt.exam.asking.learn import tables
from ros2_spatial_ttt.exam.asking.phrasing import PHRASINGS, plural, with_article
from ros2_spatial_ttt.exam.asking.priors import fair_wrong
from ros2_spatial_ttt.exam.asking.recall import recalls
from ros2_spatial_ttt.exam.asking.setting import Setting
from ros2_spatial_ttt.exam.marking import mark
from ros2_spatial_ttt.exam.question import KINDS, SETS, Question
from ros2_spatial_ttt.sim.world import CATEGORIES, Change
from ros2_spatial_ttt.types import ResultCode

END = 120 * S
MANY = 40  # questions per kind
# The ball was in room 0 (seen there in frames 12..15) and is found in room 1; the plant is taken
# away. Both at frame 50, while the robot is in room 1; the old places are in view again in frames
# 102..119 (ball) and 92..108 (plant).
OLD_BALL = thing(11, 'ball', (2.8, 0.5, 0.15), (0.3, 0.3, 0.3))
NEW_BALL = thing(11, 'ball', (4.6, 0.5, 0.15), (0.3, 0.3, 0.3))
CHANGES = (Change(51 * S, 'moved', 11, NEW_BALL), Change(51 * S, 'removed', 6, None))
CHANGED_VIEWS = {**VIEWS, 11: [*range(12, 16), *range(70, 74)]}
CHANGED_THINGS = tuple(OLD_BALL if t.id == 11 else t for t in THINGS)


@pytest.fixture(scope='module')
def questions() -> list[Question]:
    return make_questions(hand_episode(), per_kind=MANY, pictures=True)


@pytest.fixture(scope='module')
def changed() -> list[Question]:
    episode = hand_episode(CHANGED_VIEWS, changes=CHANGES, things=CHANGED_THINGS)
    return make_questions(episode, per_kind=MANY)


@pytest.fixture(scope='module')
def sides() -> list[Question]:
    """Return all questions about sides."""
    return list(directions(Setting(Evidence(hand_episode()), per_kind=1000)))


def of(questions: list[Question], kind: str, *labels: str) -> list[Question]:
    return [q for q in questions if q.kind == kind and (not labels or q.labels == labels)]


def right(question: Question) -> tuple[str, ...]:
    return question.choice_labels[question.choice]


def test_every_kind_is_asked(questions: list[Question], changed: list[Question]) -> None:
    # No category of this small home has three things beside three landmarks (recall_place).
    assert {q.kind for q in [*questions, *changed]} == set(KINDS) - {'recall_place'}
    assert {q.set for q in [*questions, *changed]} == set(SETS)


def test_counts_grow_with_what_was_seen(questions: list[Question]) -> None:
    counts = {
        q.ask_ns // S: q.number
        for q in of(questions, 'streaming_count', 'chair')
        if not q.until_ns
    }
    assert counts == {30: 2, 60: 2, 90: 3, 120: 3}
    (at_end,) = of(questions, 'object_count')
    assert (at_end.labels, at_end.number) == (('chair',), 3)


def test_count_some_time_back(questions: list[Question]) -> None:
    back = [q for q in of(questions, 'streaming_count', 'chair') if q.until_ns]
    # The third chair counts from frame 64 on. 90 s back by 44 s: two.
    assert [(q.ask_ns // S, q.until_ns // S, q.number) for q in back] == [(90, 46, 2)]
    assert '44 seconds' in back[0].text


def test_distance_is_between_closest_points(questions: list[Question]) -> None:
    # Sofa y 0..1, tv y 3.3..3.7, overlapping in x and z.
    pair = [q for q in of(questions, 'absolute_distance') if set(q.labels) == {'sofa', 'tv'}]
    assert [q.number for q in pair] == [2.3]
    # Ball x 4.45..4.75, bed x 6..8; both reach down to the floor.
    pair = [q for q in of(questions, 'absolute_distance') if set(q.labels) == {'ball', 'bed'}]
    assert [q.number for q in pair] == [1.25]


def test_size_is_the_longest_edge_in_centimetres(questions: list[Question]) -> None:
    sizes = {q.labels[0]: q.number for q in of(questions, 'object_size')}
    assert sizes['wardrobe'] == 200.0
    assert sizes['plant'] == 80.0
    assert 'chair' not in sizes


def test_room_sizes_and_all_rooms(questions: list[Question]) -> None:
    asked = of(questions, 'room_size')
    (together,) = (q for q in asked if q.region is None)
    assert together.number == 32.0
    parts = [q for q in asked if q.region is not None]
    assert len(parts) == 2
    for question in parts:
        (left, front, _), (right, back, _) = question.region
        assert front <= 0.0 and back >= 4.0, 'it reaches past the rooms on all sides'
        # Two rooms of 4 by 4 m side by side, 0.1 m of wall between them.
        widths = [max(0.0, min(right, x + 4.0) - max(left, x)) for x in (0.0, 4.1)]
        assert question.number == pytest.approx(4.0 * sum(widths), abs=0.02)
        assert (right - left) * (back - front) > question.number


def test_nearest_of_four(questions: list[Question]) -> None:
    asked = of(questions, 'relative_distance')
    assert asked
    spots = {t.category: t for t in THINGS}
    for question in asked:
        anchor, *options = (spots[name] for name in question.labels)
        # Centres and half diagonals bound the gap: the right one is not beaten by any.
        (name,) = right(question)
        assert name in question.labels[1:]
        apart = {o.category: math.dist(anchor.centre, o.centre) for o in options}
        radius = {o.category: math.dist((0, 0, 0), o.size) / 2 for o in options}
        assert all(apart[name] - radius[name] <= apart[o] + radius[o] for o in apart)


def test_sides_by_hand(sides: list[Question]) -> None:
    # At the sofa (1, 0.5), facing the tv (1, 3.5), the table (3, 2) is 53 degrees to the right.
    (hard,) = of(sides, 'relative_direction_hard', 'sofa', 'tv', 'table')
    assert right(hard) == ('front-right',)
    (mirrored,) = of(sides, 'relative_direction_hard', 'tv', 'sofa', 'table')
    assert right(mirrored) == ('front-left',)
    # At the box (1.8, 2.2), facing the table (3, 2), the plant (0.3, 2) is behind: 197 degrees.
    (medium,) = of(sides, 'relative_direction_medium', 'box', 'table', 'plant')
    assert right(medium) == ('back',)


def test_routes_turn_as_they_say(questions: list[Question]) -> None:
    asked = of(questions, 'route_plan')
    assert asked
    spots = {t.category: complex(*t.centre[:2]) for t in THINGS}
    for question in asked:
        start, facing, *stops = (spots[name] for name in question.labels)
        here, heading = start, facing - start
        for stop, word in zip(stops, right(question), strict=True):
            turn = math.degrees(cmath.phase((stop - here) / heading))
            middle = {'turn left': 90, 'turn right': -90, 'turn back': 180}[word]
            assert abs((turn - middle + 180) % 360 - 180) <= 36
            here, heading = stop, stop - here


def test_order_of_first_sight(questions: list[Question]) -> None:
    asked = of(questions, 'appearance_order')
    assert asked
    first = {t.category: VIEWS[t.id][0] for t in reversed(THINGS) if t.id in VIEWS}
    for question in asked:
        frames = [first[name] for name in right(question)]
        assert frames == sorted(frames)
        assert len(set(question.choice_labels)) == 4


def test_thing_is_recalled_beside_its_landmark() -> None:
    asked = recalls(Setting(Evidence(hand_episode()), per_kind=1000))
    beside = {q.labels[0]: right(q) for q in asked if q.ask_ns == END}
    # The plant is 0.8 m from the sofa, the box 0.6 m from the table, on which the mug stands. The
    # box has the tv 0.9 m away, too near to be a wrong choice, but enough others.
    # The ball is 1.25 m from the bed.
    near = {'plant': ('sofa',), 'mug': ('table',), 'box': ('table',), 'ball': ('bed',)}
    assert beside == near


def test_what_was_only_glimpsed_is_never_asked_about(questions: list[Question]) -> None:
    named = {name for q in questions for name in (*q.labels, *sum(q.choice_labels, ()))}
    assert 'mug' in named
    assert 'vase' not in named


def test_places_are_those_of_all_things_seen(questions: list[Question]) -> None:
    chairs = [q for q in of(questions, 'locate', 'chair') if q.ask_ns == END]
    assert {q.place_ids for q in chairs} == {(4, 5, 10)}
    assert chairs[0].places[2] == (7.5, 2.8, 0.45)
    # Last seen: chairs 4, 5, 10 in frames 27, 29, 65.
    assert chairs[0].evidence_ns == 28 * S
    absent = [q for q in of(questions, 'locate') if not q.places]
    assert absent and all(q.verdict == ResultCode.NOT_FOUND for q in absent)


def test_picture_shows_the_thing_it_asks_for() -> None:
    # In frame 0 the robot is at (2, 2), facing along x; the table spans depths .6 to 1.4 m, ±.4 m
    # across and 1.2 to .4 m below the camera; 320 px per unit: columns 320 ± 213, rows from
    # 240 + 91 to beyond the picture; 4 px around.
    asked = make_questions(hand_episode({3: [0, 1, 2]}), ['locate'], pictures=True)
    shown = {q.picture for q in of(asked, 'locate_picture') if q.picture[0] == 0}
    assert shown == {(0, (102, 327, 435, 153))}
    assert {q.labels for q in of(asked, 'locate_picture')} == {()}


def test_verdicts_are_balanced_within_name_and_time(questions: list[Question]) -> None:
    asked = of(questions, 'verdict')
    counts = Counter((q.ask_ns, q.labels, q.verdict) for q in asked)
    assert asked and set(counts.values()) == {1}
    assert set(Counter((ask, labels) for ask, labels, _ in counts).values()) == {3}


def test_moved_and_removed_things_are_asked_once_both_places_were_shown(
    changed: list[Question],
) -> None:
    asked = [q for q in of(changed, 'change') if q.twin != 'stayed']
    assert {(q.ask_ns // S, q.labels, q.places) for q in asked} == {
        (120, ('ball',), (NEW_BALL.centre,)),
        (120, ('plant',), ()),
    }
    # The thing that is gone comes with one that stayed.
    (control,) = [q for q in of(changed, 'change') if q.twin == 'stayed']
    assert control.labels[0] not in ('ball', 'plant')
    assert len(control.places) == 1 and control.region is None
    # Until then nothing depends on where they are.
    assert not [q for q in changed if q.ask_ns == 90 * S and 'ball' in q.labels]


def test_unnoticed_change_changes_nothing() -> None:
    evidence = Evidence(hand_episode(CHANGED_VIEWS, changes=CHANGES, things=CHANGED_THINGS))
    ids = {place.thing.id for place in evidence.at(53 * S).places}
    assert {6, 11} <= ids
    assert 6 not in {place.thing.id for place in evidence.at(END).places}


@pytest.mark.parametrize('share', [0.25, 0.5, 0.75])
def test_what_is_first_visible_later_never_matters(share: float) -> None:
    ask_ns = round(share * 120) * S
    later = {number: frames for number, frames in VIEWS.items() if (frames[0] + 1) * S > ask_ns}
    without = {number: frames for number, frames in VIEWS.items() if number not in later}
    assert later
    told = [make_questions(hand_episode(views)) for views in (VIEWS, without)]
    asked = [
        questions_json([replace(q, id='') for q in those if q.ask_ns <= ask_ns]) for those in told
    ]
    assert asked[0] == asked[1]
    assert len(json.loads(asked[0])) > 5


def test_later_change_never_matters() -> None:
    calm = hand_episode(CHANGED_VIEWS, things=CHANGED_THINGS)
    later = hand_episode(CHANGED_VIEWS, changes=CHANGES[1:], things=CHANGED_THINGS)
    before = [
        [replace(q, id='') for q in make_questions(e) if q.ask_ns <= 50 * S] for e in (calm, later)
    ]
    assert questions_json(before[0]) == questions_json(before[1])


def test_truth_answers_everything(questions: list[Question], changed: list[Question]) -> None:
    for asked, episode in (
        (questions, hand_episode()),
        (changed, hand_episode(CHANGED_VIEWS, changes=CHANGES, things=CHANGED_THINGS)),
    ):
        evidence = Evidence(episode)
        for question in asked:
            if question.kind != 'locate_picture':
                answer = respond(question, TruthSource(evidence, question.ask_ns).ask)
                assert mark(question, answer).score == 1.0, question


def test_same_questions_in_another_process() -> None:
    code = (
        'import sys; from hand_home import hand_episode;'
        'from ros2_spatial_ttt.exam.asking import make_questions, questions_json;'
        'sys.stdout.buffer.write(questions_json(make_questions(hand_episode())))'
    )
    environment = {**os.environ, 'PYTHONHASHSEED': '7', 'PYTHONPATH': os.pathsep.join(sys.path)}
    other = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, check=True
    ).stdout
    own = questions_json(make_questions(hand_episode()))
    assert own == other
    assert json.loads(own)[0]['id'].startswith('7/')


def test_questions_come_in_order_with_ids_of_their_own(questions: list[Question]) -> None:
    times = [q.ask_ns for q in questions]
    assert times == sorted(times)
    assert len({q.id for q in questions}) == len(questions)
    assert all(q.evidence_ns <= q.ask_ns for q in questions)


def test_sets_and_bad_input() -> None:
    assert {q.set for q in make_questions(hand_episode(), ['vsc'])} == {'vsc'}
    with pytest.raises(ConfigError, match="unknown set 'vso'.*vsi, vsr"):
        make_questions(hand_episode(), ['vso'])
    with pytest.raises(ConfigError, match='per_kind'):
        make_questions(hand_episode(), per_kind=0)


def test_right_choices_are_anywhere(questions: list[Question]) -> None:
    asked = [q for q in questions if len(q.choices) == 4]
    shares = np.bincount([q.choice for q in asked], minlength=4) / len(asked)
    assert np.all(np.abs(shares - 0.25) < 4 * math.sqrt(0.25 * 0.75 / len(asked)))


def test_likeliest_looking_choice_is_right_no_more_often_than_others() -> None:
    # Truth follows the likelihoods, 8 to 1; whoever picks the likeliest of four is right 1 in 4.
    rng = np.random.default_rng(5)
    likely = dict(zip('abcdefgh', [8.0, 6, 4, 3, 2, 1, 1, 1], strict=True))
    weights = np.array(list(likely.values())) / sum(likely.values())
    hits, asked = 0, 0
    for _ in range(12_000):
        truth = 'abcdefgh'[rng.choice(8, p=weights)]
        wrong = fair_wrong(rng, truth, [c for c in likely if c != truth], likely.__getitem__)
        if wrong is not None:
            asked += 1
            hits += max([truth, *wrong], key=lambda c: (likely[c], c)) == truth
    assert asked > 3_000
    assert abs(hits / asked - 0.25) < 4 * math.sqrt(0.25 * 0.75 / asked)


def test_priors_are_what_homes_show() -> None:
    found = tables([hand_home()], [hand_episode()])
    beside = {name: {m for m, (n, _) in row.items() if n} for name, row in found['beside'].items()}
    assert beside.items() >= {'plant': {'sofa'}, 'ball': {'bed'}, 'box': {'table'}}.items()
    assert found['beside']['plant']['bed'] == [0, 1]
    gaps = found['gap']['same room']
    assert gaps['sofa']['tv'] == gaps['tv']['sofa'] == 2.3
    assert 'bed' in found['gap']['other room']['sofa']
    assert found['first']['sofa']['bed'] == 1
    assert 'sofa' not in found['first'].get('bed', {})


def test_words_are_english() -> None:
    assert plural('shelf') == 'shelves'
    assert plural('box') == 'boxes'
    assert plural('washing machine') == 'washing machines'
    assert with_article('oven') == 'an oven'
    assert {with_article(name)[:3] for name in CATEGORIES} <= {'a ' + n[0] for n in CATEGORIES} | {
        'an '
    }
    assert all(len(templates) >= 4 for templates in PHRASINGS.values())


def test_texts_have_no_gaps(questions: list[Question], changed: list[Question]) -> None:
    for question in [*questions, *changed]:
        assert '{' not in question.text and question.text[-1] in '.?!:'
