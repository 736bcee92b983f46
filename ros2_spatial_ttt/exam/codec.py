# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Results of one home, and how they become JSON and come back unchanged."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ros2_spatial_ttt.exam.question import Question, Response
from ros2_spatial_ttt.types import ResultCode

__all__ = ['HomeResult', 'Plan', 'SystemResult', 'home_from_json', 'home_to_json']


@dataclass(frozen=True)
class SystemResult:
    """What one system answered in one home.

    Attributes:
        responses: one per question, in their order.
        stored_bytes: of what the last answers were made from.
        times: seconds 'observe_s' in all, milliseconds 'update_p50_ms' and 'update_p95_ms' of
            an update; the only entries that differ between two runs, with ``Response.seconds``.
    """

    responses: tuple[Response, ...]
    stored_bytes: int
    times: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A home from above, at the end of its tour; m, map frame.

    Attributes:
        rooms: (kind, corners (x, y)) each.
        things: (id, category, x, y, size along its x, along its y, yaw) each.
        path: (x, y) of the robot in the last frames.
    """

    rooms: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]
    things: tuple[tuple[int, str, float, float, float, float, float], ...]
    path: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class HomeResult:
    """The exam of one home.

    Attributes:
        seed: of the home. digest: of the options it was examined with.
        frames: fed to each system. begin_ns: stamp of the first frame.
        questions: in order of asking. systems: by name. plan: for the picture from above.
        elapsed_s: of everything, making the home included.
    """

    seed: int
    digest: str
    frames: int
    begin_ns: int
    questions: tuple[Question, ...]
    systems: Mapping[str, SystemResult]
    plan: Plan
    elapsed_s: float = 0.0


def home_to_json(result: HomeResult) -> dict[str, Any]:
    """Return the result as what strict JSON can hold; NaN becomes null, infinity a text."""
    return _plain(
        {item.name: getattr(result, item.name) for item in dataclasses.fields(HomeResult)}
    )


def home_from_json(raw: Mapping[str, Any]) -> HomeResult:
    """Return the result that ``home_to_json`` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    questions = tuple(_question(item) for item in raw['questions'])
    systems = {name: _system(item) for name, item in raw['systems'].items()}
    for name, system in systems.items():
        if len(system.responses) != len(questions):
            raise ValueError(f'{name} has {len(system.responses)} of {len(questions)} responses')
    return HomeResult(
        seed=int(raw['seed']),
        digest=str(raw['digest']),
        frames=int(raw['frames']),
        begin_ns=int(raw['begin_ns']),
        questions=questions,
        systems=systems,
        plan=Plan(**{key: _tuples(value) for key, value in raw['plan'].items()}),
        elapsed_s=float(raw['elapsed_s']),
    )


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, (ResultCode, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else float(value) if math.isfinite(value) else str(value)
    return value


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _number(value: Any) -> float:
    return float('nan') if value is None else float(value)


def _question(raw: Mapping[str, Any]) -> Question:
    given = {key: _tuples(value) for key, value in raw.items()}
    given['number'] = _number(given['number'])
    given['verdict'] = ResultCode(given['verdict'])
    return Question(**given)


def _response(raw: Mapping[str, Any]) -> Response:
    given = dict(raw)
    for key in ('number', 'low', 'high', 'confidence', 'seconds'):
        given[key] = _number(given[key])
    given['verdict'] = ResultCode(given['verdict'])
    if given['places'] is not None:
        given['places'] = np.array(given['places'], np.float64).reshape(-1, 3)
    if given['sureness'] is not None:
        given['sureness'] = np.array(given['sureness'], np.float64)
    return Response(**given)


def _system(raw: Mapping[str, Any]) -> SystemResult:
    times = {key: float(value) for key, value in raw['times'].items()}
    return SystemResult(
        tuple(_response(item) for item in raw['responses']), int(raw['stored_bytes']), times
    )
