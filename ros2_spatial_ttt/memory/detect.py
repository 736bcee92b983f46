# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From what is said of each token of a frame to detections of whole things.

Tokens of one thing agree on its centre and size. They are grouped greedily (as CLEAN does, Högbom
1974): the surest token with those that agree with it are a thing; these, and others that may err
by as much, are taken away; and so on. A logistic model that was fitted on training homes
(``training/tune.py``) tells the probability that a detection is right, from ``FEATURES``.

How much a detection counts as a vote is not that probability. Poor looks at a thing err together
(from afar every wardrobe is a door), so they add up to a wrong name; a few looks that are sure and
show much of the thing know better. Hence ``Detector.worth``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.runtime.base import Manifest, Tokens

__all__ = ['FEATURES', 'FIRST', 'Detected', 'Detector', 'detections', 'groups', 'weighed']

Array = NDArray[Any]

# What the probability of a detection is told from, one number each.
FEATURES = (
    'one',  # 1
    'mass',  # log of the sum of P(thing) over its tokens
    'best',  # logit of the largest P(name) of a token
    'share',  # logit of P(name) over the group
    'margin',  # share of its name among things, less that of the next
    'spread',  # log of the error of its centre that the tokens expect
    'scatter',  # log of the deviation of their centres
    'far',  # log of its depth
    'border',  # share of its tokens at the border of the picture
    'edge',  # log of its longer horizontal edge
    'height',  # log of its height
    'guessed',  # share of its tokens whose depth was not measured
    # Of a second look (second_look.py); 0 without one.
    'second',  # logit of P(name) by it
    'agreed',  # 1 where it says the name that the tokens say
)
FIRST = len(FEATURES) - 2  # so many are told by the first look alone
_GUESSED = FEATURES.index('guessed')
_SURE = 1e-3  # probabilities are kept this far from 0 and 1
# Evidence for a token's centre falls with its expected error; it is never better than this.
_LEAST_ERROR_M = 0.05


@dataclass(frozen=True)
class Detected:
    """n detections of a frame, surest first.

    Attributes:
        label: (n,) int64 number of the likeliest name. centre: (n, 3) m in the tile frame.
        size: (n, 3) m, longer and shorter horizontal edge, height. yaw: (n,) rad in the map.
        weight: (n,) probability that it is right: a thing of that name, the centre within 0.5 m.
        worth: (n,) what it counts as a vote, as a share of a whole look, 0..1.
        features: (n, len(FEATURES)).
        shares: (n, K) share of each name in the sum of P(thing) over its tokens.
        box: (n, 4) int64 first row and column, last row and column of its tokens.
    """

    label: NDArray[np.int64]
    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    yaw: NDArray[np.float64]
    weight: NDArray[np.float64]
    worth: NDArray[np.float64]
    features: NDArray[np.float64]
    shares: NDArray[np.float64]
    box: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def guessed(self) -> NDArray[np.float64]:
        """Share of each whose depth was predicted, not measured, (n,)."""
        return self.features[:, _GUESSED]

    def named_again(self, names: Array) -> Detected:
        """Return the detections as a second look names them, of weight and worth as before.

        Args:
            names: (n, 1 + K) its probabilities, of nothing first.
        """
        label = names[:, 1:].argmax(axis=1)
        features = self.features.copy()
        sure = np.clip(names[np.arange(len(self)), 1 + label], _SURE, 1.0 - _SURE)
        features[:, FIRST] = np.log(sure / (1.0 - sure))
        features[:, FIRST + 1] = label == self.label
        return replace(self, label=label, features=features)

    def kept(self, rows: Array) -> Detected:
        """Return the detections of these rows."""
        return Detected(**{name: array[rows] for name, array in vars(self).items()})


@dataclass(frozen=True)
class Detector:
    """Constants of the grouping and of the probability; those of a model are in its manifest.

    Attributes:
        grid: rows and columns of tokens.
        least: P(thing) from which a token takes part.
        mass: sum of P(thing) below which a group is no thing.
        apart: share of the mean horizontal edge within which centres agree …
        apart_least, apart_most: … within these bounds, m.
        shape: mean difference of log sizes up to which sizes agree.
        sure: power of the probability in what a vote is worth …
        share: … and of its sum of P(thing) …
        whole: … where so much of it is a whole look.
        weights: of ``FEATURES`` in the logit of the probability.
        names: what is added for each name; () = nothing.
        guessed_weights, guessed_names: the same where no depth was measured, as a predicted one
            errs in other ways; () = the same numbers.
    """

    grid: tuple[int, int]
    least: float = 0.35
    mass: float = 0.8
    apart: float = 0.35
    apart_least: float = 0.15
    apart_most: float = 0.5
    shape: float = 0.5
    sure: float = 4.0
    share: float = 0.75
    whole: float = 5.0
    weights: tuple[float, ...] = (-1.0, 0.1, 0.5, 0.8, 0.0, -1.0, *[0.0] * 8)
    names: tuple[float, ...] = ()
    guessed_weights: tuple[float, ...] = ()
    guessed_names: tuple[float, ...] = ()

    @staticmethod
    def from_manifest(manifest: Manifest) -> Detector:
        """Return the detector of a model; what its manifest does not say keeps its default."""
        values = manifest.detector
        plain = {name: values[name] for name in _PLAIN if name in values}
        apart = f'{_APART}weight.{FEATURES[0]}' in values
        return Detector(
            manifest.grid,
            **plain,
            weights=_read(values, 'weight.', FEATURES, Detector.weights),
            names=_read(values, 'name.', manifest.labels),
            guessed_weights=_read(values, f'{_APART}weight.', FEATURES) if apart else (),
            guessed_names=_read(values, f'{_APART}name.', manifest.labels) if apart else (),
        )

    def to_manifest(self, labels: tuple[str, ...]) -> dict[str, float]:
        """Return the constants as ``Manifest.detector`` holds them."""
        out = {name: float(getattr(self, name)) for name in _PLAIN}
        for prefix, weights, names in (
            ('', self.weights, self.names),
            (_APART, self.guessed_weights, self.guessed_names),
        ):
            out |= {f'{prefix}weight.{k}': v for k, v in zip(FEATURES, weights, strict=False)}
            out |= {f'{prefix}name.{k}': v for k, v in zip(labels, names, strict=False)}
        return out

    def weight(self, label: Array, features: Array) -> NDArray[np.float64]:
        """Return the probability (n,) that detections are right."""
        logit = _log_odds(label, features, self.weights, self.names)
        if self.guessed_weights:
            share = features[:, _GUESSED]
            guessed = _log_odds(label, features, self.guessed_weights, self.guessed_names)
            logit = (1.0 - share) * logit + share * guessed
        return np.asarray(1.0 / (1.0 + np.exp(-logit)))

    def worth(self, label: Array, features: Array) -> NDArray[np.float64]:
        """Return what detections count as votes, (n,) shares of a whole look."""
        shown = np.exp(features[:, FEATURES.index('mass')]) / self.whole
        worth = self.weight(label, features) ** self.sure * shown**self.share
        return np.asarray(np.minimum(worth, 1.0))


_NOT_PLAIN = ('grid', 'weights', 'names', 'guessed_weights', 'guessed_names')
_PLAIN = tuple(f.name for f in fields(Detector) if f.name not in _NOT_PLAIN)
_APART = 'guessed.'  # of the keys in a manifest


def _read(
    values: Mapping[str, float], prefix: str, keys: Sequence[str], default: Sequence[float] = ()
) -> tuple[float, ...]:
    """Return the numbers that a manifest has for keys, else their default, else 0."""
    known = dict(zip(keys, default, strict=False))
    return tuple(values.get(prefix + key, known.get(key, 0.0)) for key in keys)


def _log_odds(
    label: Array, features: Array, weights: Sequence[float], names: Sequence[float]
) -> Array:
    logit = features @ np.asarray(weights)
    return logit + np.asarray(names)[label] if len(names) else logit


def detections(tokens: Tokens, frame: int, detector: Detector) -> Detected:
    """Return the things that the tokens of a frame speak of, by the first look at it.

    Args:
        tokens: of a chunk.
        frame: number of the frame in it.
        detector: constants.
    """
    return weighed(groups(_Frame.of(tokens, frame, detector), detector), detector)


def weighed(found: Detected, detector: Detector) -> Detected:
    """Return detections with the weight and worth that a detector gives them, surest first."""
    known = found.label, found.features
    found = replace(found, weight=detector.weight(*known), worth=detector.worth(*known))
    return found.kept(np.argsort(-found.weight, kind='stable'))


@dataclass(frozen=True)
class _Frame:
    """The n tokens of a frame that may be of things; see ``Tokens`` for each.

    Attributes:
        thing: (n,) P(thing). names: (n, K). border: (n,) 1 at the border of the picture.
        trust: (n,) weight of what a token says about place and size.
        guessed: (n,) 1 where the depth is predicted, not measured.
        place: (n, 2) int64 row and column.
    """

    thing: Array
    names: Array
    centre: Array
    log_size: Array
    turn: Array
    spread: Array
    depth: Array
    border: Array
    trust: Array
    guessed: Array
    place: Array

    @staticmethod
    def of(tokens: Tokens, frame: int, detector: Detector) -> _Frame:
        """Return the tokens of a frame, those that are most surely of things first."""
        # Not 1 - P(background): all is 0 in padding.
        thing = tokens.names[frame, :, 1:].sum(axis=1)
        rows = np.flatnonzero(thing > detector.least)
        rows = rows[np.argsort(-thing[rows], kind='stable')]
        grid = detector.grid
        row, column = np.divmod(rows, grid[1])
        border = (row == 0) | (row == grid[0] - 1) | (column == 0) | (column == grid[1] - 1)
        spread = tokens.spread[frame, rows]
        return _Frame(
            thing=thing[rows],
            names=tokens.names[frame, rows, 1:],
            centre=tokens.centre[frame, rows],
            log_size=np.log(np.maximum(tokens.size[frame, rows], 1e-2)),
            turn=tokens.turn[frame, rows],
            spread=spread,
            depth=tokens.depth[frame, rows],
            border=border.astype(np.float64),
            trust=thing[rows] / (spread**2 + _LEAST_ERROR_M**2),
            guessed=(tokens.depth_spread[frame, rows] > 0.0).astype(np.float64),
            place=np.stack([row, column], axis=1),
        )


def groups(frame: _Frame, detector: Detector) -> Detected:
    """Return one detection for each group of tokens that agree, of weight and worth 0."""
    free = np.ones(len(frame.thing), bool)
    order = np.argsort(-frame.trust, kind='stable')
    made = []
    for seed in order:
        if not free[seed]:
            continue
        members, taken = _agreeing(frame, int(seed), free, detector)
        free &= ~taken
        if frame.thing[members].sum() >= detector.mass:
            made.append(_detection(frame, members))
    if not made:
        return _nothing(frame.names.shape[1])
    return Detected(**{name: np.stack([one[name] for one in made]) for name in made[0]})


def _agreeing(frame: _Frame, seed: int, free: Array, detector: Detector) -> tuple[Array, Array]:
    """Return the rows of tokens that agree with one, and which (n,) are of no other thing."""
    centre, log_size = frame.centre[seed], frame.log_size[seed]
    rows = np.array([seed])
    for _ in range(2):
        radius = detector.apart * float(np.exp(log_size[:2]).mean())
        radius = min(max(radius, detector.apart_least), detector.apart_most)
        alike = np.abs(frame.log_size - log_size).mean(axis=1) < detector.shape
        apart = np.sqrt(((frame.centre - centre) ** 2).sum(axis=1))
        near = np.flatnonzero(free & alike & (apart < radius))
        if not len(near):
            break
        rows = near
        trust = frame.trust[rows] / frame.trust[rows].sum()
        centre, log_size = trust @ frame.centre[rows], trust @ frame.log_size[rows]
    # Tokens that expect to err by so much may mean this thing too.
    same = frame.names @ frame.names[rows].sum(axis=0) > 0.3 * frame.thing * len(rows)
    taken = free & (alike | same) & (apart < np.maximum(radius, 1.5 * frame.spread))
    taken[rows] = True
    taken[seed] = True
    return rows, taken


def _detection(frame: _Frame, rows: Array) -> dict[str, Array]:
    thing, trust = frame.thing[rows], frame.trust[rows] / frame.trust[rows].sum()
    centre = trust @ frame.centre[rows]
    names = frame.names[rows]
    total = names.sum(axis=0)
    label = int(total.argmax())
    share = total / thing.sum()
    next_share = np.delete(share, label).max(initial=0.0)
    scatter = np.sqrt(trust @ ((frame.centre[rows] - centre) ** 2).sum(axis=1))
    turn = trust @ frame.turn[rows]
    log_size = trust @ frame.log_size[rows]
    features = np.array(
        [
            1.0,
            np.log(thing.sum()),
            _logit(names[:, label].max()),
            _logit(total[label] / len(rows)),
            share[label] - next_share,
            np.log(trust @ frame.spread[rows] + 1e-3),
            np.log(scatter + 0.02),
            np.log(max(float(trust @ frame.depth[rows]), 0.2)),
            frame.border[rows].mean(),
            log_size[0],
            log_size[2],
            frame.guessed[rows].mean(),
            0.0,
            0.0,
        ]
    )
    return {
        'label': np.array(label),
        'centre': centre.astype(np.float64),
        'size': np.exp(log_size).astype(np.float64),
        'yaw': np.array(0.5 * np.arctan2(turn[1], turn[0]) % np.pi),
        'weight': np.array(0.0),
        'worth': np.array(0.0),
        'features': features,
        'shares': share.astype(np.float64),
        'box': np.r_[frame.place[rows].min(axis=0), frame.place[rows].max(axis=0)],
    }


def _logit(probability: float) -> float:
    sure = min(max(probability, _SURE), 1.0 - _SURE)
    return float(np.log(sure / (1.0 - sure)))


def _nothing(names: int) -> Detected:
    none = np.zeros(0)
    return Detected(
        none.astype(np.int64),
        np.zeros((0, 3)),
        np.zeros((0, 3)),
        none,
        none,
        none,
        np.zeros((0, len(FEATURES))),
        np.zeros((0, names)),
        np.zeros((0, 4), np.int64),
    )
