# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Keyframes confirm and refine what the field proposes for an example picture.

The field says where to look, keyframes that keep their looks say where else. There the example is
matched in three steps, each for fewer candidates than the last: normalised correlation over shifts
and scales at half resolution, then affine alignment by maximising the enhanced correlation
coefficient (Evangelidis and Psarakis, IEEE TPAMI 30(10), 2008; OpenCV's ``findTransformECC``),
which forgives brightness, contrast and a moderate change of view. Pixel, depth and pose of an
aligned match give its place. Pictures are grey, at the model's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.evidence import EvidenceBank, View
from ros2_spatial_ttt.memory.reader import FieldPoints, Likeness
from ros2_spatial_ttt.query.search import Cut, Peak

__all__ = [
    'LOOKALIKES',
    'PROPOSALS',
    'Finding',
    'Match',
    'log_odds',
    'matched',
    'proposed_views',
    'weighed',
]

# Best peaks of the field that are looked for in keyframes, and keyframes for each.
PROPOSALS = 6
_VIEWS = 2
# Tokens of keyframes that look most like the example, wherever they are.
LOOKALIKES = 20

# Size of the example in a keyframe relative to its own.
_SCALES = (0.7, 0.84, 1.0, 1.19, 1.41)
# A guess may be off by this many pixels.
_REACH = 14
_COARSE = 0.5
# Guesses that are aligned, best first; two of one keyframe must lie this many pixels apart.
_ALIGNED, _APART = 12, 6.0
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
_SMOOTHING = 3
# Area of the example in a keyframe, relative to its own, beyond which an alignment ran away.
_AREAS = (0.25, 4.0)
# From this agreement on a match is a place of its own; less than that says as much as _SILENT.
_AGREES, _SILENT = 0.6, 0.5
# Log odds: this share of the field's, and this much per agreement above that (docs/LOG.md).
_TRUST, _SLOPE, _HALF = 0.6, 14.5, 0.856
# Places this near to a match are what it shows; its own error is about this.
_NEAR_M, _DEVIATION_M = 0.25, 0.1
# Pixels around a guess that an alignment may look at.
_AROUND = 64


@dataclass(frozen=True)
class Match:
    """A place in a keyframe that shows what the example shows.

    Attributes:
        point: (3,) m in the map, of the middle of the example. view: where that is.
        agreement: correlation of the aligned pictures, -1..1.
    """

    point: NDArray[np.float64]
    view: View
    agreement: float


@dataclass(frozen=True)
class Finding:
    """A place that may be the example's.

    Attributes:
        peak: where. log_odds: that it is. confirmed: a keyframe shows the example there.
    """

    peak: Peak
    log_odds: float
    confirmed: bool = False

    @property
    def confidence(self) -> float:
        """0..1."""
        return float(1.0 / (1.0 + np.exp(-self.log_odds)))


def log_odds(score: float, found_score: tuple[float, float], agreement: float | None) -> float:
    """Return the log odds that a place is right.

    Args:
        score: the field's.
        found_score: (half, slope) of the logistic of the field alone.
        agreement: of the best match there; None = no keyframe was asked.
    """
    half, slope = found_score
    field = slope * (score - half)
    if agreement is None:
        return field
    return _TRUST * field + _SLOPE * (max(agreement, _SILENT) - _HALF)


def proposed_views(
    bank: EvidenceBank,
    proposals: Sequence[Peak],
    places: FieldPoints,
    likeness: Likeness,
    grid: tuple[int, int],
) -> list[list[View]]:
    """Return, for each of the best proposals, the keyframes that see it.

    They see it from the side that it looks most like the example from.
    """
    views = []
    for peak in proposals[:PROPOSALS]:
        near = ((places.points - peak.position) ** 2).sum(axis=1) <= _NEAR_M**2
        row = int(np.argmax(np.where(near, likeness.score, -np.inf)))
        point = places.points[row].astype(np.float64)
        bearing = float(likeness.bearing[row])
        views.append(bank.views(point, grid, most=_VIEWS, bearing=bearing))
    return views


def weighed(
    proposals: Sequence[Peak],
    views: Sequence[Sequence[View]],
    matches: Sequence[Match],
    places: FieldPoints,
    likeness: Likeness,
    *,
    separation_m: float,
    found_score: tuple[float, float],
) -> list[Finding]:
    """Return matches and proposals as separate places, surest first.

    A match counts where the field holds a surface. A proposal that no match is near to stays where
    it is: less sure than before where keyframes see it, as sure where none does.

    Args:
        proposals: of the field, best first.
        views: keyframes that were searched for the first of them.
        matches: of all keyframes, most alike first.
        places: that may be answered.
        likeness: of these places.
        separation_m: least distance between two places.
        found_score: (half, slope) of the logistic of the field alone.
    """
    found: list[Finding] = []
    points = places.points.astype(np.float64)
    for match in matches:
        if match.agreement < _AGREES or _taken(match.point, found, separation_m):
            continue
        near = ((points - match.point) ** 2).sum(axis=1) <= _NEAR_M**2
        if not near.any():
            continue
        peak = _refined(match, places, likeness, near)
        odds = log_odds(peak.score, found_score, match.agreement)
        found.append(Finding(peak, odds, confirmed=True))
    for rank, peak in enumerate(proposals):
        if not _taken(peak.position, found, separation_m):
            unseen = rank < len(views) and not views[rank]
            agreement = None if unseen else _SILENT
            found.append(Finding(peak, log_odds(peak.score, found_score, agreement)))
    return sorted(found, key=lambda finding: -finding.log_odds)


def _taken(point: NDArray[np.float64], found: list[Finding], separation_m: float) -> bool:
    return any(np.linalg.norm(f.peak.position - point) <= separation_m for f in found)


def _refined(
    match: Match, places: FieldPoints, likeness: Likeness, near: NDArray[np.bool_]
) -> Peak:
    """Return a match as a peak, with what the field says of the places ``near`` it."""
    return Peak(
        position=match.point,
        covariance=_DEVIATION_M**2 * np.eye(3),
        size=np.ptp(places.points[near].astype(np.float64), axis=0),
        score=float(likeness.score[near].max()),
        first_seen_ns=int(places.first_seen_ns[near].min()),
        last_seen_ns=int(places.last_seen_ns[near].max()),
        count=int(places.count[near].sum()),
    )


def matched(example: Cut, guesses: Sequence[View], grid: tuple[int, int]) -> list[Match]:
    """Return where keyframes show the example, most alike first.

    Args:
        example: window around the thing, with the pixel that is to be located.
        guesses: where to look.
        grid: token rows and columns of the keyframes' depth.
    """
    window = np.asarray(cv2.cvtColor(example.window, cv2.COLOR_RGB2GRAY), np.uint8)
    templates = [(scale, _resized(window, scale * _COARSE)) for scale in _SCALES]
    coarse = sorted((_correlated(templates, guess) for guess in guesses), key=lambda c: -c.score)
    found = []
    for candidate in _thinned(coarse):
        agreement, u, v = _aligned(window, example.middle, candidate)
        keyframe = candidate.view.keyframe
        point = keyframe.point_at(u, v, grid)
        if point is not None:
            found.append(Match(point, View(keyframe, u, v), agreement))
    return sorted(found, key=lambda match: -match.agreement)


@dataclass(frozen=True)
class _Candidate:
    """A coarse match: the window's middle at ``view``, ``scale`` times its size."""

    view: View
    scale: float
    score: float


def _correlated(templates: list[tuple[float, NDArray[np.uint8]]], guess: View) -> _Candidate:
    """Return the best shift and scale around a guess; score -1 where the window does not fit."""
    picture = guess.keyframe.small_grey
    best = _Candidate(guess, 1.0, -1.0)
    x, y = (guess.u + 0.5) * _COARSE, (guess.v + 0.5) * _COARSE
    reach = round(_REACH * _COARSE)
    for scale, template in templates:
        height, width = template.shape
        left, top = round(x - width / 2) - reach, round(y - height / 2) - reach
        right, bottom = left + width + 2 * reach, top + height + 2 * reach
        left, top = max(left, 0), max(top, 0)
        part = picture[top:bottom, left:right]
        if part.shape[0] < height or part.shape[1] < width:
            continue
        score = cv2.matchTemplate(part, template, cv2.TM_CCOEFF_NORMED)
        _, peak, _, (column, row) = cv2.minMaxLoc(score)
        # A patch without any contrast correlates with everything.
        if best.score < peak <= 1.0 + 1e-3:
            u = (left + column + width / 2) / _COARSE - 0.5
            v = (top + row + height / 2) / _COARSE - 0.5
            best = _Candidate(View(guess.keyframe, u, v), scale, peak)
    return best


def _thinned(candidates: list[_Candidate]) -> list[_Candidate]:
    """Return the best candidates (sorted) that are not the same place of the same keyframe."""
    kept: list[_Candidate] = []
    for candidate in candidates:
        if candidate.score > -1.0 and not any(_same(candidate.view, k.view) for k in kept):
            kept.append(candidate)
        if len(kept) == _ALIGNED:
            break
    return kept


def _same(a: View, b: View) -> bool:
    return a.keyframe is b.keyframe and np.hypot(a.u - b.u, a.v - b.v) < _APART


def _aligned(
    window: NDArray[np.uint8], middle: tuple[float, float], candidate: _Candidate
) -> tuple[float, float, float]:
    """Return the correlation after affine alignment and where ``middle`` comes to lie, px."""
    picture, view, scale = candidate.view.keyframe.grey, candidate.view, candidate.scale
    left, top = max(round(view.u) - _AROUND, 0), max(round(view.v) - _AROUND, 0)
    part = picture[top : top + 2 * _AROUND, left : left + 2 * _AROUND]
    centre = (np.array(window.shape[::-1]) - 1) / 2
    shift = np.array([view.u - left, view.v - top]) - scale * centre
    start: Any = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]], np.float32)
    try:
        # OpenCV's stubs know no call with a smoothing but without a mask.
        agreement, warp = cv2.findTransformECC(  # type: ignore[call-overload]
            window, part, start, cv2.MOTION_AFFINE, _STEPS, None, _SMOOTHING
        )
    except cv2.error:  # did not converge, which says that these are not alike
        return -1.0, view.u, view.v
    u, v = warp @ np.array([*middle, 1.0])
    area = float(np.linalg.det(warp[:, :2].astype(np.float64)))
    if not _AREAS[0] < area < _AREAS[1]:
        return -1.0, view.u, view.v
    return float(agreement), float(left + u), float(top + v)


def _resized(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    how = cv2.INTER_AREA if factor < 1.0 else cv2.INTER_LINEAR
    small: Any = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=how)
    return np.asarray(small, np.uint8)
