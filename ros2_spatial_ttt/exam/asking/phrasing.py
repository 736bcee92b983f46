# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The words of questions: several phrasings of each kind; the first is VSI-Bench's, if it has one.

Templates of VSI-Bench: Yang et al., Thinking in Space, arXiv:2412.14171, appendix; "room" is
"home" here where a tour goes through several rooms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ['PHRASINGS', 'listed', 'phrase', 'plural', 'with_article']

_IRREGULAR = {'shelf': 'shelves', 'box': 'boxes'}

PHRASINGS: dict[str, tuple[str, ...]] = {
    'object_count': (
        'How many {things} are there?',
        'How many {things} are in this home?',
        'What is the number of {things} in this home?',
        'Count the {things} you have seen in this home.',
    ),
    'absolute_distance': (
        'Measuring from the closest point of each object, what is the direct distance between the '
        '{a} and the {b} (in meters)?',
        'How far is the {a} from the {b}, from closest point to closest point, in meters?',
        'What is the shortest distance between the {a} and the {b} in meters?',
        'How many meters are there between the nearest points of the {a} and the {b}?',
    ),
    'object_size': (
        'What is the length of the longest dimension (length, width, or height) of the {a}, '
        'measured in centimeters?',
        'How long is the longest edge of the {a} in centimeters?',
        'What is the largest of length, width and height of the {a}, in centimeters?',
        'How many centimeters does the {a} measure along its longest side?',
    ),
    'room_size': (
        'What is the size of {area} (in square meters)?',
        'How large is {area} in square meters?',
        'How many square meters of floor does {area} have?',
        'Estimate the floor area of {area} in square meters.',
    ),
    'relative_distance': (
        'Measuring from the closest point of each object, which of these objects ({options}) is '
        'the closest to the {a}?',
        'Which of these is nearest to the {a}: {options}?',
        'To which of these is the distance from the {a} the shortest: {options}?',
        'Of {options}, which stands closest to the {a}?',
    ),
    'relative_direction_easy': (
        'If I am standing by the {a} and facing the {b}, is the {c} to the left or the right of '
        'the {b}?',
        'Standing at the {a} and looking at the {b}, is the {c} on the left or on the right?',
        'I stand by the {a} and look towards the {b}. On which side is the {c}, left or right?',
        'Seen from the {a} when facing the {b}, does the {c} lie to the left or to the right?',
    ),
    'relative_direction_medium': (
        'If I am standing by the {a} and facing the {b}, is the {c} to my left, right, or back? '
        'An object is to my back if I would have to turn at least 135 degrees in order to face '
        'it.',
        'Standing at the {a} and looking at the {b}, is the {c} to the left, to the right, or '
        'behind (a turn of at least 135 degrees)?',
        'I stand by the {a} and look towards the {b}. Do I turn left, right, or by at least 135 '
        'degrees to the back to face the {c}?',
        'Seen from the {a} when facing the {b}, is the {c} left, right, or back, where back is a '
        'turn of at least 135 degrees?',
    ),
    'relative_direction_hard': (
        'If I am standing by the {a} and facing the {b}, is the {c} to my front-left, '
        'front-right, back-left, or back-right? The directions refer to the quadrants of a '
        'Cartesian plane (if I am standing at the origin and facing along the positive y-axis).',
        'Standing at the {a} and looking at the {b}, in which quadrant around me is the {c}: '
        'front-left, front-right, back-left or back-right?',
        'I stand by the {a} and look towards the {b}. Is the {c} front-left, front-right, '
        'back-left or back-right of me?',
        'Seen from the {a} when facing the {b}, which quadrant holds the {c}: front-left, '
        'front-right, back-left or back-right?',
    ),
    'route_plan': (
        'You are a robot beginning at the {a} and facing the {b}. You want to navigate to the '
        '{goal}. You will perform the following actions (Note: for each [please fill in], choose '
        "either 'turn back,' 'turn left,' or 'turn right.'): {actions} You have reached the "
        'final destination.',
        'A robot stands at the {a} and faces the {b}. Which turns fill the gaps on its way to '
        'the {goal}? {actions}',
        'Complete this route from the {a} (facing the {b}) to the {goal} with turn back, turn '
        'left or turn right: {actions}',
        'Starting at the {a} and looking at the {b}, a robot goes to the {goal} like this: '
        '{actions} What are the missing turns?',
    ),
    'appearance_order': (
        'What will be the first-time appearance order of the following categories in the video: '
        '{options}?',
        'In what order did you first see {options}?',
        'Put these in the order in which they first came into view: {options}.',
        'Which of these orders is that of first appearance of {options}?',
    ),
    'recall_place': (
        'In which order did you first see the {things} that are beside these places: {options}?',
        'There are {things} beside {options}. In what order did you come across them?',
        'Recall the {things} next to {options}: which was seen first, and which after it?',
        'Put the {things} beside {options} in the order in which they first came into view.',
    ),
    'recall_room': (
        'Next to which of these did you last see the {a}: {options}?',
        'Think back to the {a}. Which of these was it closest to: {options}?',
        'Where was the {a} when you last saw it, next to which of {options}?',
        'Beside which of {options} is the {a}, as far as you know?',
    ),
    'streaming_count': (
        'How many {things} are there, as far as you have seen?',
        'How many different {things} have you come across so far?',
        'Up to now, what is the number of {things} in this home, each counted once?',
        'Count all {things} known by now; one seen again is not another one.',
    ),
    'streaming_count_back': (
        'How many different {things} had you seen {ago} ago?',
        '{Ago} ago, how many {things} did you know of?',
        'Think back {ago}: how many {things} had you come across by then?',
        'What was the number of different {things} seen up to {ago} ago?',
    ),
    'locate': (
        'Where is the {a}?',
        'Find the {a}.',
        'At which position of the map is the {a}?',
        'Give the coordinates of the {a}.',
    ),
    'locate_all': (
        'Where are the {things}?',
        'Find all {things}.',
        'At which positions of the map are the {things}?',
        'Give the coordinates of every {a}.',
    ),
    'locate_picture': (
        'Where is the thing in this picture?',
        'Find the object shown in the marked part of the picture.',
        'At which position of the map is what this picture shows?',
        'Give the coordinates of the pictured thing.',
    ),
    'verdict': (
        'Is there {a_a} {area}?',
        'Do you know of {a_a} {area}?',
        'Have you seen {a_a} {area}, or have you never looked there?',
        'Look {area}: is {a_a} there?',
    ),
    'change': (
        'Where is the {a} now?',
        'Things were changed. Where does the {a} stand now?',
        'At which position is the {a} after all changes?',
        'Give the present position of the {a}, if it is still there.',
    ),
    'change_here': (
        'Which {things} are {area} now?',
        'Things were changed. Where {area} is {a_a} now, if anywhere?',
        'Give the present positions of all {things} {area}.',
        'Is {a_a} {area} now, and where exactly?',
    ),
}


def phrase(kind: str, rng: np.random.Generator, **words: str) -> str:
    """Return a question of a kind in one of its phrasings."""
    templates = PHRASINGS[kind]
    return templates[int(rng.integers(len(templates)))].format(**words)


def plural(name: str) -> str:
    """Return the plural of a category."""
    return _IRREGULAR.get(name, name + 's')


def with_article(name: str) -> str:
    """Return a category with 'a' or 'an'."""
    return f'{"an" if name[0] in "aeio" else "a"} {name}'


def listed(names: Sequence[str]) -> str:
    """Return names separated by commas."""
    return ', '.join(names)
