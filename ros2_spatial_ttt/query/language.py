# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Plain English questions to a question type and names of things, by patterns."""

from __future__ import annotations

import re

from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.types import QueryType

__all__ = ['parse']

# Words for what a picture, a point or an earlier object shows: no names.
_IT = ('it', 'this', 'that', 'this thing', 'that thing', 'the thing', 'thing', 'there', 'here')
_SPOT = r'(?:this|that) (?:point|place|spot|box|region|area)'
_PLACE = (
    r'(?:there|here|this|that|it|nearby|around(?: here| me| us)?|near (?:me|us)|'
    rf'(?:at|in|around|near|about) (?:here|there|{_SPOT})|{_SPOT})'
)
_AT = rf'(?: (?:there|here|(?:at|in) {_SPOT}))?'
# First match wins; a named group 'a' or 'b' is the name of a thing.
_PATTERNS: tuple[tuple[QueryType, str], ...] = (
    (QueryType.COUNT, r'how many (?P<a>.+?)(?: are there| do you (?:see|know))?'),
    (QueryType.DISTANCE, r'how far (?:is |away is )?(?:the )?(?P<a>.+?) from (?:the )?(?P<b>.+)'),
    (QueryType.DISTANCE, r'how far (?:away )?is (?:the )?(?P<a>.+?)(?: away)?'),
    (
        QueryType.DISTANCE,
        r'(?:what is )?the distance (?:between|from) (?:the )?(?P<a>.+?)'
        r' (?:and|to) (?:the )?(?P<b>.+)',
    ),
    (QueryType.ROOM_SIZE, r'how (?:big|large) is (?:the|this|that) room'),
    (
        QueryType.ROOM_SIZE,
        r'how (?:big|large) is (?:the|that) room (?:with|where|in which|that has|around|of)'
        r' (?:the |a |an )?(?P<a>.+?)(?: is| stands| are| stand| in it)?',
    ),
    (QueryType.SIZE, r'how (?:big|large|tall|wide|long) is (?:the )?(?P<a>.+)'),
    (QueryType.DIRECTION, r'(?:which way|in which direction) is (?:the )?(?P<a>.+)'),
    (QueryType.ORDER, r'in what order (?:did you see|were) (?P<a>.+)'),
    (QueryType.EXISTS, r'is there (?:anything|something)' + _AT),
    (QueryType.EXISTS, r'is there (?:a |an |any )?(?P<a>.+)'),
    (
        QueryType.NEAREST,
        r"(?:where is|what is|where's) the (?:nearest|closest) (?P<a>.+)",
    ),
    (QueryType.RELOCALIZE, r'where (?:am i|are we)'),
    (
        QueryType.RELOCALIZE,
        r'where (?:was|is) (?:this|the|that) (?:picture|photo|image) (?:taken|from)',
    ),
    (
        QueryType.LOCATE,
        r"(?:where is|where are|where's|find|locate) (?:the |a |an |my )?(?P<a>.+)",
    ),
    (QueryType.DESCRIBE, r"(?:what is|what's|what do you know about|describe) " + _PLACE),
    (
        QueryType.DESCRIBE,
        r"(?:describe|tell me about|what do you know about|(?:what is|what's) (?:near|next to|"
        r'beside|around)) (?:the |a |an |my )?(?P<a>.+)',
    ),
)


def parse(text: str) -> tuple[QueryType, tuple[str, ...]]:
    """Return the type of a question and the names in it.

    Raises:
        BadRequest: no pattern fits.
    """
    question = re.sub(r'\s+', ' ', text).strip().rstrip('?!. ').lower()
    for kind, pattern in _PATTERNS:
        match = re.fullmatch(pattern, question)
        if match:
            groups = match.groupdict()
            names = tuple(groups[key] for key in ('a', 'b') if groups.get(key))
            return kind, () if set(names) <= set(_IT) else names
    raise BadRequest(
        f"cannot understand {text!r}; ask like 'where is the chair?', 'how many chairs?', "
        "'how far is the chair from the table?', or set the type of the question"
    )
