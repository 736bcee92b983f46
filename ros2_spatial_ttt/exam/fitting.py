# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From which confidence on a store tells a thing: fitted on train homes, as the memory's own is.

``spatial-ttt tune`` fits the memory to a model. What it is compared with would be at a
disadvantage with constants that were chosen for other detections. So ``spatial-ttt exam --fit``
has every store tell all that it holds in train homes, and keeps for each the threshold with the
best F1 of its places. The file holds them by model, with the hash of the weights they are for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ros2_spatial_ttt.exam.codec import HomeResult
from ros2_spatial_ttt.exam.marking import mark
from ros2_spatial_ttt.exam.options import HomeOptions, model_hash
from ros2_spatial_ttt.exam.question import Response
from ros2_spatial_ttt.exam.report import Outcome, format_number, markdown_table
from ros2_spatial_ttt.exam.results import write_text

__all__ = ['FITTED', 'TELL_ALL', 'best_threshold', 'fitted', 'outcome']

FITTED = ('muon', 'window', 'voxel', 'keyframe', 'unlimited')
TELL_ALL = tuple((name, 0.0) for name in ('memory', *FITTED))
HALF = 0.5
_GRID = np.round(np.linspace(0.0, 0.98, 50), 2)
_FILE = Path(__file__).parent / 'systems' / 'thresholds.json'


def fitted(model: str, perception: str) -> tuple[tuple[str, float], ...]:
    """Return (system, threshold) as fitted for a model's perception; () where none was fitted."""
    name, weights = _key(model, perception)
    known = _read().get(name, {})
    return tuple(sorted(known['thresholds'].items())) if known.get('hash') == weights else ()


def outcome(homes: Sequence[HomeResult], options: HomeOptions) -> Outcome:
    """Fit thresholds to homes examined with ``TELL_ALL``, write them, and say what they are worth.

    Raises:
        ResultError: they cannot be written.
    """
    found = {name: best_threshold(homes, name) for name in options.systems}
    thresholds = {name: found[name][0] for name in FITTED if name in found}
    name, weights = _key(options.model, options.perception)
    known = {**_read(), name: {'hash': weights, 'thresholds': thresholds}}
    write_text(_FILE, json.dumps(known, indent=1, sort_keys=True) + '\n')
    rows = [
        (name, *map(format_number, (best, f1, _f1(homes, name, HALF))))
        for name, (best, f1) in found.items()
    ]
    table = markdown_table(('system', 'threshold', 'F1 there', 'F1 at 0.5'), rows)
    results = {f'fit.{name}.threshold': best for name, (best, _) in found.items()}
    text = f'{table}\n\nWritten to {_FILE}. The memory keeps read.found_threshold.'
    return Outcome('fit', results, text, lambda folder: None)


def best_threshold(homes: Sequence[HomeResult], system: str) -> tuple[float, float]:
    """Return the threshold with the best F1 of the places that a system told, and that F1."""
    scores = [_f1(homes, system, threshold) for threshold in _GRID]
    # In the middle of a plateau it depends least on these homes.
    best = np.flatnonzero(np.array(scores) >= max(scores) - 1e-9)
    row = int(best[len(best) // 2])
    return float(_GRID[row]), scores[row]


def _f1(homes: Sequence[HomeResult], system: str, threshold: float) -> float:
    found = asked = named = 0
    for home in homes:
        pairs = zip(home.questions, home.systems[system].responses, strict=True)
        for question, response in pairs:
            if question.kind == 'locate':
                got = mark(question, _told(response, threshold))
                found, asked, named = found + got.found, asked + got.asked, named + got.named
    return 2.0 * found / max(asked + named, 1)


def _told(response: Response, threshold: float) -> Response:
    """Return the response without the places that are less sure."""
    if response.places is None or response.sureness is None:
        return response
    sure = response.sureness >= threshold
    return replace(response, places=response.places[sure], sureness=response.sureness[sure])


def _key(model: str, perception: str) -> tuple[str, str]:
    """Return the name under which thresholds are kept, and the hash of the weights if any."""
    return (Path(model).name, model_hash(model)) if perception == 'model' else (perception, '')


def _read() -> Mapping[str, Any]:
    return json.loads(_FILE.read_text(encoding='utf-8')) if _FILE.is_file() else {}
