# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From results of homes to flat keys and to the tables that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ros2_spatial_ttt.exam import report
from ros2_spatial_ttt.exam.codec import HomeResult
from ros2_spatial_ttt.exam.marking import mark
from ros2_spatial_ttt.exam.question import KINDS, VSI_KINDS, Question, Response
from ros2_spatial_ttt.exam.scoring import Homes, score
from ros2_spatial_ttt.exam.systems import CONTROLS

__all__ = [
    'answers_of',
    'blind_check',
    'blind_table',
    'further_tables',
    'prefix_of',
    'score_table',
    'summarise',
]

# A question that can be answered without seeing by more than this above chance is a bad question.
BLIND_MARGIN = 0.10

COLUMNS = {
    'vsi.overall': 'VSI',
    'vsr.accuracy': 'VSR',
    'vsc.mra': 'VSC',
    'count.mra': 'count',
    'locate.recall_at_0.5m': 'recall@0.5 m',
    'locate_picture.recall_at_0.5m': 'picture@0.5 m',
    'locate.precision': 'precision',
    'locate.median_error_m': 'median m',
    'verdict.macro_f1': 'verdict F1',
    'change.corrected': 'change',
}
# Further scores, in tables of their own: every kind of VSI, and what time and trust do.
VSI_COLUMNS = {f'vsi.{kind}': kind.replace('_', ' ') for kind in VSI_KINDS}
TIME_COLUMNS = {
    'count.inflation': 'counts inflated by revisits',
    'age.oldest_minus_newest': 'recall, oldest minus newest tenth',
    'interval.coverage': 'truth within 90 % intervals',
    'calibration.ece': 'calibration error',
}


def prefix_of(system: str) -> str:
    """Return the prefix of a system's keys; the memory has none."""
    if system == 'memory':
        return ''
    return f'control.{system}.' if system in CONTROLS else f'baseline.{system}.'


def answers_of(homes: Sequence[HomeResult], system: str) -> Homes:
    """Return (questions, responses) per home of one system."""
    return [(home.questions, home.systems[system].responses) for home in homes]


def summarise(homes: Sequence[HomeResult]) -> dict[str, Any]:
    """Return the flat results of all systems, of the blind check and of the homes."""
    out: dict[str, Any] = {
        'homes': len(homes),
        'frames': sum(home.frames for home in homes),
        'questions': sum(len(home.questions) for home in homes),
        'seconds_per_home': float(np.mean([home.elapsed_s for home in homes])),
    }
    for system in homes[0].systems:
        own = score(answers_of(homes, system)) | _costs(homes, system)
        out |= {f'{prefix_of(system)}{key}': value for key, value in own.items()}
    if 'blind' in homes[0].systems:
        out |= blind_check(homes)
    return out


def _costs(homes: Sequence[HomeResult], system: str) -> dict[str, float]:
    """Return bytes of the largest home, and times: medians over homes of those within a home."""
    runs = [home.systems[system] for home in homes]
    query_ms = [1e3 * response.seconds for run in runs for response in run.responses]
    frames = sum(home.frames for home in homes)
    observe_s = sum(run.times['observe_s'] for run in runs)
    return {
        'state_bytes': max(run.stored_bytes for run in runs),
        'update.p50_ms': float(np.median([run.times['update_p50_ms'] for run in runs])),
        'update.p95_ms': float(np.median([run.times['update_p95_ms'] for run in runs])),
        'query.p50_ms': float(np.percentile(query_ms or [0.0], 50)),
        'query.p95_ms': float(np.percentile(query_ms or [0.0], 95)),
        'frame_ms': 1e3 * observe_s / frames,
        'frames_per_s': frames / observe_s if observe_s > 0 else float('inf'),
    }


def blind_check(homes: Sequence[HomeResult]) -> dict[str, float]:
    """Return how well choices are answered without seeing, by kind.

    ``blind.<kind>.accuracy`` and ``.chance`` (one over the number of choices), ``.n``,
    ``.above_chance`` (the difference) and ``.fair`` (1 where that is at most 10 points).
    """
    rows = [
        (question, response)
        for questions, responses in answers_of(homes, 'blind')
        for question, response in zip(questions, responses, strict=True)
    ]
    out: dict[str, float] = {}
    for kind in [kind for kind, answer in KINDS.items() if answer == 'choice']:
        own = [row for row in rows if row[0].kind == kind]
        if own:
            out |= {f'blind.{kind}.{key}': value for key, value in _blind_kind(own).items()}
    return out


def _blind_kind(rows: Sequence[tuple[Question, Response]]) -> dict[str, float]:
    accuracy = float(np.mean([mark(question, response).score for question, response in rows]))
    chance = float(np.mean([1.0 / len(question.choices) for question, _ in rows]))
    return {
        'n': len(rows),
        'accuracy': accuracy,
        'chance': chance,
        'above_chance': accuracy - chance,
        'fair': int(accuracy <= chance + BLIND_MARGIN),
    }


def score_table(results: Mapping[str, Any], systems: Sequence[str]) -> str:
    """Return the Markdown table with one row per system."""
    keys = [
        key for key in COLUMNS if any(f'{prefix_of(system)}{key}' in results for system in systems)
    ]
    header = ['system', *(COLUMNS[key] for key in keys), 'bytes', 'ms/frame', 'query p95 ms']
    rows = [_row(results, system, keys) for system in systems]
    return report.markdown_table(header, rows)


def further_tables(results: Mapping[str, Any], systems: Sequence[str]) -> str:
    """Return Markdown tables of ``VSI_COLUMNS`` and ``TIME_COLUMNS``, without what is in none."""
    tables = []
    for columns in (VSI_COLUMNS, TIME_COLUMNS):
        keys = [key for key in columns if any(prefix_of(s) + key in results for s in systems)]
        rows = [
            [_name(system), *(_score(results, prefix_of(system) + key) for key in keys)]
            for system in systems
        ]
        if keys:
            header = ['system', *(columns[key] for key in keys)]
            tables.append(report.markdown_table(header, rows))
    return '\n\n'.join(tables)


def _name(system: str) -> str:
    return f'control: {system}' if system in CONTROLS else system


def _row(results: Mapping[str, Any], system: str, keys: Sequence[str]) -> list[str]:
    prefix = prefix_of(system)
    return [
        _name(system),
        *(_score(results, prefix + key) for key in keys),
        report.format_bytes(results[f'{prefix}state_bytes']),
        report.format_number(results[f'{prefix}frame_ms']),
        report.format_number(results[f'{prefix}query.p95_ms'], 1),
    ]


def _score(results: Mapping[str, Any], key: str) -> str:
    if key not in results:
        return '–'
    value, low, high = (
        report.format_number(results[f'{key}{end}']) for end in ('', '.low', '.high')
    )
    return f'{value} [{low}, {high}]'


def blind_table(results: Mapping[str, Any]) -> str:
    """Return the Markdown table of the blind check; '' when blind was not under exam."""
    kinds = [
        key.split('.')[1] for key in results if key.startswith('blind.') and key.endswith('.n')
    ]
    rows = [
        [
            kind,
            str(results[f'blind.{kind}.n']),
            report.format_number(results[f'blind.{kind}.accuracy']),
            report.format_number(results[f'blind.{kind}.chance']),
            'yes' if results[f'blind.{kind}.fair'] else 'NO',
        ]
        for kind in kinds
    ]
    if not rows:
        return ''
    header = ('choice kind', 'asked', 'blind', 'chance', 'blind ≤ chance + 10 points')
    return report.markdown_table(header, rows)
