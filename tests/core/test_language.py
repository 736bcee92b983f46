# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Plain English to question types and names."""

from __future__ import annotations

import pytest

from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.query.language import parse
from ros2_spatial_ttt.types import QueryType

QUESTIONS = [
    ('Where is the chair?', QueryType.LOCATE, ('chair',)),
    ("where's my red mug", QueryType.LOCATE, ('red mug',)),
    ('find the exit.', QueryType.LOCATE, ('exit',)),
    ('  locate   a   fire   extinguisher ', QueryType.LOCATE, ('fire extinguisher',)),
    ('How many chairs are there?', QueryType.COUNT, ('chairs',)),
    ('how many chairs do you see', QueryType.COUNT, ('chairs',)),
    ('how many chairs', QueryType.COUNT, ('chairs',)),
    ('how far is the chair from the table?', QueryType.DISTANCE, ('chair', 'table')),
    ('how far is #3 from #4', QueryType.DISTANCE, ('#3', '#4')),
    ('how far away is the door', QueryType.DISTANCE, ('door',)),
    ('How far is the door away?', QueryType.DISTANCE, ('door',)),
    ('what is the distance between the sofa and the lamp', QueryType.DISTANCE, ('sofa', 'lamp')),
    ('the distance from sofa to lamp', QueryType.DISTANCE, ('sofa', 'lamp')),
    ('how big is this room?', QueryType.ROOM_SIZE, ()),
    ('how tall is the shelf', QueryType.SIZE, ('shelf',)),
    ('which way is the kitchen?', QueryType.DIRECTION, ('kitchen',)),
    ('in what order did you see the chairs', QueryType.ORDER, ('the chairs',)),
    ('is there a cup', QueryType.EXISTS, ('cup',)),
    ('is there any cup?', QueryType.EXISTS, ('cup',)),
    ('where is the nearest chair', QueryType.NEAREST, ('chair',)),
    ('what is the closest exit?', QueryType.NEAREST, ('exit',)),
    ('where am I?', QueryType.RELOCALIZE, ()),
    ('Where was this picture taken?', QueryType.RELOCALIZE, ()),
    ('where is that photo from', QueryType.RELOCALIZE, ()),
    ('where is the picture?', QueryType.LOCATE, ('picture',)),
    ('where is this?', QueryType.LOCATE, ()),
    ('how big is it', QueryType.SIZE, ()),
    ('how far is it from the table', QueryType.DISTANCE, ('it', 'table')),
    ('is there anything?', QueryType.EXISTS, ()),
    ('is there something at this point', QueryType.EXISTS, ()),
    ('how big is the room with the fridge?', QueryType.ROOM_SIZE, ('fridge',)),
    ('how large is the room in which the fridge stands', QueryType.ROOM_SIZE, ('fridge',)),
    ('how big is the room divider', QueryType.SIZE, ('room divider',)),
    ('what is there?', QueryType.DESCRIBE, ()),
    ('what is here', QueryType.DESCRIBE, ()),
    ("what's around me?", QueryType.DESCRIBE, ()),
    ('what is in this box?', QueryType.DESCRIBE, ()),
    ('what do you know about this place', QueryType.DESCRIBE, ()),
    ('describe this', QueryType.DESCRIBE, ()),
    ('Describe the chair.', QueryType.DESCRIBE, ('chair',)),
    ('tell me about the red mug', QueryType.DESCRIBE, ('red mug',)),
    ('what do you know about #3?', QueryType.DESCRIBE, ('#3',)),
    ('what is next to the sofa?', QueryType.DESCRIBE, ('sofa',)),
]
NONSENSE = [
    'colourless green ideas sleep furiously',
    '?',
    '.',
    'where',
    'how',
    'how many',
    '42',
    'find',
    'what is the meaning of life?',
]


@pytest.mark.parametrize(('text', 'kind', 'names'), QUESTIONS)
def test_a_question_has_a_type_and_names(text, kind, names):
    assert parse(text) == (kind, names)


@pytest.mark.parametrize('text', NONSENSE)
def test_nonsense_is_answered_with_examples_of_questions(text):
    with pytest.raises(BadRequest, match=r"ask like 'where is the chair\?'"):
        parse(text)


def test_every_type_but_auto_can_be_asked_for_in_words():
    assert {kind for _, kind, _ in QUESTIONS} == set(QueryType) - {QueryType.AUTO}


def test_a_very_long_question_is_understood_at_once():
    kind, (name,) = parse('where is the ' + 'very ' * 20_000 + 'old chair?')
    assert kind == QueryType.LOCATE and name.endswith('old chair')
