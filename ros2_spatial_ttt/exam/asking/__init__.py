# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions from the truth of a simulated tour.

Causal: an answer follows from what was visible up to the ask time, see ``evidence``. The same
episode gives the same questions, byte for byte.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam.asking.changes import changes
from ros2_spatial_ttt.exam.asking.choices import choices
from ros2_spatial_ttt.exam.asking.directions import directions, routes
from ros2_spatial_ttt.exam.asking.evidence import Evidence, Shown
from ros2_spatial_ttt.exam.asking.numbers import counts_over_time, numbers
from ros2_spatial_ttt.exam.asking.places import locates, pictures
from ros2_spatial_ttt.exam.asking.priors import priors
from ros2_spatial_ttt.exam.asking.recall import recalls
from ros2_spatial_ttt.exam.asking.rooms import Floors
from ros2_spatial_ttt.exam.asking.setting import Setting
from ros2_spatial_ttt.exam.asking.verdicts import verdicts
from ros2_spatial_ttt.exam.question import KINDS, SETS, Question

__all__ = ['make_questions', 'questions_json']

_MAKERS: dict[str, tuple[Callable[[Setting, Floors], Iterator[Question]], ...]] = {
    'vsi': (
        numbers,
        lambda setting, _: choices(setting),
        lambda setting, _: directions(setting),
        lambda setting, _: routes(setting),
    ),
    'vsr': (lambda setting, _: recalls(setting),),
    'vsc': (lambda setting, _: counts_over_time(setting),),
    'locate': (lambda setting, _: locates(setting), lambda setting, _: pictures(setting)),
    'verdict': (verdicts,),
    'change': (lambda setting, _: changes(setting),),
}


def make_questions(
    episode: Shown,
    sets: Sequence[str] = SETS,
    *,
    per_kind: int = 6,
    pictures: bool = False,
) -> list[Question]:
    """Return questions about a tour, in order of their ask times.

    Args:
        episode: ``sim.episode.Episode``, or what has its home, tour, sights and poses.
        sets: which sets of ``exam.question.SETS``.
        per_kind: most questions of a kind at one time, half of them at many times.
        pictures: also ask by example picture, for systems that see pixels.

    Raises:
        ConfigError: an unknown set, or ``per_kind`` below 1.
    """
    unknown = [name for name in sets if name not in SETS]
    if unknown:
        raise ConfigError(f'unknown set {unknown[0]!r}; expected some of {", ".join(SETS)}')
    if per_kind < 1:
        raise ConfigError(f'per_kind: expected at least 1, got {per_kind}')
    setting = Setting(Evidence(episode), per_kind, priors())
    floors = Floors(setting.evidence)
    made = [
        question
        for name in SETS
        if name in sets
        for make in _MAKERS[name]
        for question in make(setting, floors)
    ]
    kept = [q for q in made if pictures or q.kind != 'locate_picture']
    return _numbered(kept, episode.home.seed)


def _numbered(questions: list[Question], seed: int) -> list[Question]:
    order = list(KINDS)
    counts: Counter[str] = Counter()
    out = []
    for question in sorted(questions, key=lambda q: (q.ask_ns, order.index(q.kind))):
        out.append(replace(question, id=f'{seed}/{question.kind}/{counts[question.kind]:03d}'))
        counts[question.kind] += 1
    return out


def questions_json(questions: Iterable[Question]) -> bytes:
    """Return the questions as canonical JSON: sorted keys, no spaces, NaN as null."""
    plain = [
        {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(question).items()
        }
        for question in questions
    ]
    text = json.dumps(
        plain, sort_keys=True, separators=(',', ':'), allow_nan=False, ensure_ascii=False
    )
    return text.encode()
