# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What can be known of the exam without looking: fitted on the questions of train homes."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

from ros2_spatial_ttt.exam.question import KINDS, Question

__all__ = ['Priors', 'choice_chances', 'fit', 'load', 'save']

PATH = Path(__file__).with_name('priors.json')
LEAST_SAMPLES = 8  # of a name before it has a prior of its own
THRESHOLDS = np.arange(0.5, 0.96, 0.05)  # of mean relative accuracy, as in VSI-Bench
RIDGE = 3.0
LEAST_WEIGHT = 0.08
MOST_FEATURES = 120  # per kind
QUANTILES = np.linspace(0.025, 0.975, 20)


@dataclass(frozen=True)
class Priors:
    """Answers without looking.

    Attributes:
        command: that made them. homes: number of train homes.
        number: {kind: {names or '': (best constant, 5 % quantile, 95 % quantile)}}.
        quantiles: {kind: 20 equally likely numbers}.
        choice: {kind: {feature of a choice: weight in a conditional logit model}}.
        verdict: {kind: {name or '': (commonest result code, its share)}}.
        place: {kind: {name or '': (x, y, z) median}}.
        box: least and greatest (x, y, z) of all places.
    """

    command: str = ''
    homes: int = 0
    number: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    quantiles: dict[str, list[float]] = field(default_factory=dict)
    choice: dict[str, dict[str, float]] = field(default_factory=dict)
    verdict: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    place: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    box: list[list[float]] = field(default_factory=lambda: [[-5.0, -5.0, 0.0], [5.0, 5.0, 2.0]])

    @staticmethod
    def looked_up(table: dict[str, Any], labels: Sequence[str]) -> Any:
        """Return the entry of these names, of the first of them, or the one for all; or None."""
        for key in (_key(labels), *labels[:1], ''):
            if key in table:
                return table[key]
        return None


def fit(questions: Iterable[Question], *, homes: int = 0, command: str = '') -> Priors:
    """Return what the questions of train homes tell beforehand.

    Args:
        questions: of train homes, with their answers.
        homes: how many there are.
        command: for the record.
    """
    by_kind: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        by_kind[question.kind].append(question)
    of = {
        sort: {kind: items for kind, items in sorted(by_kind.items()) if KINDS[kind] == sort}
        for sort in ('number', 'choice', 'place', 'verdict')
    }
    seen = of['place'] | of['verdict']
    places = np.array([p for items in of['place'].values() for q in items for p in q.places])
    return Priors(
        command=command,
        homes=homes,
        number={kind: _numbers(items) for kind, items in of['number'].items()},
        quantiles={
            kind: _rounded(np.quantile([q.number for q in items], QUANTILES, method='nearest'))
            for kind, items in of['number'].items()
        },
        choice={kind: _logit(items) for kind, items in of['choice'].items()},
        verdict={kind: _verdicts(items) for kind, items in seen.items()},
        place={kind: _places(items) for kind, items in of['place'].items()},
        box=[_rounded(places.min(axis=0)), _rounded(places.max(axis=0))]
        if len(places)
        else Priors().box,
    )


def save(priors: Priors, path: Path = PATH) -> None:
    """Write priors as JSON."""
    text = json.dumps(asdict(priors), sort_keys=True, indent=0, separators=(',', ':'))
    # Numbers of a list on one line: the file is read by people too.
    text = re.sub(r',\n(-?\d)', r',\1', text)
    path.write_text(re.sub(r'\[\n|\n\]', lambda m: m[0].strip(), text) + '\n', encoding='utf-8')


@lru_cache(maxsize=1)
def load(path: Path = PATH) -> Priors:
    """Return the priors that the package holds."""
    return Priors(**json.loads(path.read_text(encoding='utf-8')))


def choice_chances(question: Question, weights: dict[str, float]) -> NDArray[np.float64]:
    """Return the probability of each choice of a question, (n,), by a conditional logit model."""
    score = np.array(
        [
            sum(weights.get(name, 0.0) for name in _features(question, number))
            for number in range(len(question.choices))
        ]
    )
    chance = np.exp(score - score.max())
    return chance / chance.sum()


def _features(question: Question, number: int) -> list[str]:
    """Return what speaks for or against a choice: only text, names and position are used."""
    text = re.sub(r'\d+([.,]\d+)?', '#', question.choices[number].lower())
    out = [f'i{number}', f't:{text}']
    names = question.choice_labels[number] if question.choice_labels else ()
    out += [f'l:{name}' for name in names]
    out += [f'a:{anchor}|{name}' for anchor in question.labels[:1] for name in names]
    out += [f'o:{a}>{b}' for i, a in enumerate(names) for b in names[i + 1 :]]
    out += [f'x:{text}|{role}{name}' for role, name in enumerate(question.labels)]
    out += [f'w:{word}' for word in sorted(set(re.findall(r'[a-z]+', text)))]
    return out


def _logit(questions: list[Question]) -> dict[str, float]:
    """Fit a conditional logit model (McFadden 1974) with a Gaussian prior; keep large weights."""
    asked = [q for q in questions if q.choice >= 0]
    rows = [_features(q, n) for q in asked for n in range(len(q.choices))]
    names = sorted({name for row in rows for name in row})
    column = {name: number for number, name in enumerate(names)}
    counts = [len(row) for row in rows]
    matrix = sparse.csr_matrix(
        (
            np.ones(sum(counts)),
            (np.repeat(np.arange(len(rows)), counts), [column[n] for row in rows for n in row]),
        ),
        shape=(len(rows), len(names)),
    )
    start = np.cumsum([0, *(len(q.choices) for q in asked)])
    right = start[:-1] + np.array([q.choice for q in asked], np.int64)
    group = np.repeat(np.arange(len(asked)), np.diff(start))

    def loss(weight: NDArray) -> tuple[float, NDArray]:
        score = matrix @ weight
        score -= np.maximum.reduceat(score, start[:-1])[group]
        total = np.add.reduceat(np.exp(score), start[:-1])
        error = np.exp(score) / total[group]
        error[right] -= 1.0
        value = float((np.log(total) - score[right]).sum() + 0.5 * RIDGE * weight @ weight)
        return value, matrix.T @ error + RIDGE * weight

    if not asked:
        return {}
    weight = minimize(loss, np.zeros(len(names)), jac=True, method='L-BFGS-B').x
    largest = np.argsort(-np.abs(weight), kind='stable')[:MOST_FEATURES]
    kept = sorted(i for i in largest if abs(weight[i]) >= LEAST_WEIGHT)
    return {names[i]: round(float(weight[i]), 2) for i in kept}


def _numbers(questions: list[Question]) -> dict[str, list[float]]:
    return {
        key: _rounded([_best_constant(values), *np.quantile(values, [0.05, 0.95])])
        for key, values in _by_names(questions, lambda q: [q.number]).items()
    }


def _best_constant(values: NDArray) -> float:
    """Return which of the values has the best mean relative accuracy as the answer to all."""
    candidates = np.unique(np.quantile(values, np.linspace(0.05, 0.95, 37), method='nearest'))
    apart = np.abs(candidates[:, None] - values[None]) / np.maximum(np.abs(values[None]), 1e-9)
    score = (apart[..., None] < 1.0 - THRESHOLDS).mean(axis=(1, 2))
    return float(candidates[int(score.argmax())])


def _verdicts(questions: list[Question]) -> dict[str, list[float]]:
    out = {}
    for key, codes in _by_names(questions, lambda q: [int(q.verdict)]).items():
        code, times = np.unique(codes, return_counts=True)
        out[key] = _rounded([code[times.argmax()], times.max() / times.sum()])
    return out


def _places(questions: list[Question]) -> dict[str, list[float]]:
    placed = [q for q in questions if q.places]
    return {
        key: _rounded(np.median(points, axis=0))
        for key, points in _by_names(placed, lambda q: list(q.places)).items()
    }


def _by_names(questions: list[Question], values: Any) -> dict[str, NDArray]:
    """Return {names: values of their questions} for names with enough of them, and '' for all."""
    groups: dict[str, list] = defaultdict(list)
    for question in questions:
        for key in {'', *question.labels[:1], _key(question.labels)}:
            groups[key] += values(question)
    return {
        key: np.array(groups[key], np.float64)
        for key in sorted(groups)
        if groups[key] and (not key or len(groups[key]) >= LEAST_SAMPLES)
    }


def _key(labels: Sequence[str]) -> str:
    return '|'.join(sorted(labels))


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), 3) for value in values]
