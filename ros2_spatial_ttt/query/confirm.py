# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Keyframes confirm and refine what the field proposes for an example picture.

The field says where to look, keyframes that keep their looks say where else. There the example is
matched in three steps, each for fewer candidates than the last: normalised correlation over shifts
and scales at half resolution; the network's look at what was found, compared with its look at the
example; affine alignment by maximising the enhanced correlation coefficient (Evangelidis and
Psarakis, IEEE TPAMI 30(10), 2008; OpenCV's ``findTransformECC``), which forgives brightness,
contrast and a moderate change of view. Pixel, depth and pose of a match give its place; agreement
after alignment and likeness of looks tell how likely it is right. All at the model's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.evidence import EvidenceBank, Keyframe, View
from ros2_spatial_ttt.memory.reader import FieldPoints, Likeness
from ros2_spatial_ttt.query.search import Cut, Peak
from ros2_spatial_ttt.runtime.base import Manifest

__all__ = [
    'LOOKALIKES',
    'PROPOSALS',
    'Finding',
    'Looks',
    'Match',
    'Weighing',
    'matched',
    'proposed_views',
    'weighed',
]

# From windows (n, window, window, 3) uint8 RGB to how much each looks like the example, (n,).
Looks = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

# Best peaks of the field that are looked for in keyframes, and keyframes for each.
PROPOSALS = 6
_VIEWS = 2
# Tokens of keyframes that look most like the example, wherever they are.
LOOKALIKES = 40

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
# From this agreement on an alignment holds; one that does not says as much as _SILENT.
_AGREES, _SILENT = 0.6, 0.5
# Places this near to a match are what it shows; its own error is about this.
_NEAR_M, _DEVIATION_M = 0.25, 0.1
# Pixels around a guess that an alignment may look at.
_AROUND = 64
_PREFIX = 'confirm.'


@dataclass(frozen=True)
class Weighing:
    """From what is seen of a place to the log-odds that it is the example's; fitted to a model.

    Attributes:
        bias, agreement, look: of a match: bias + agreement times its agreement + look times its
            look.
        half, slope: of a proposal: slope times (score of the field - half).
        silent: added to those where keyframes that see the place show no match there.
        lead: of any place, times the log-odds that it is ahead of the best of all others.
    """

    bias: float = -18.2
    agreement: float = 7.4
    look: float = 13.8
    half: float = 0.5
    slope: float = 12.0
    silent: float = -3.0
    lead: float = 0.0

    @staticmethod
    def from_manifest(manifest: Manifest) -> Weighing:
        """Return the weighing of a model; what its manifest does not hold keeps its default."""
        half, slope = manifest.found_score
        names = {_PREFIX + f.name: f.name for f in fields(Weighing)}
        fitted = {names[key]: value for key, value in manifest.detector.items() if key in names}
        return Weighing(**{'half': half, 'slope': slope, **fitted})

    def to_manifest(self) -> dict[str, float]:
        """Return the numbers as ``Manifest.detector`` holds them."""
        return {f'{_PREFIX}{name}': float(value) for name, value in vars(self).items()}

    def of_match(self, match: Match) -> float:
        """Return the log-odds that a match is right."""
        return self.bias + self.agreement * match.agreement + self.look * match.look

    def of_field(self, score: float) -> float:
        """Return the log-odds that a place is right that the field alone speaks for."""
        return self.slope * (score - self.half)


@dataclass(frozen=True)
class Match:
    """A place in a keyframe that shows what the example shows.

    Attributes:
        point: (3,) m in the map, of the middle of the example. view: where that is.
        agreement: correlation of the aligned pictures; ``_SILENT`` where they could not be.
        look: cosine of the network's looks at both, -1..1.
        aligned: whether they could.
    """

    point: NDArray[np.float64]
    view: View
    agreement: float
    look: float
    aligned: bool


@dataclass(frozen=True)
class Finding:
    """A place that may be the example's.

    Attributes:
        peak: where. log_odds: that it is. match: what a keyframe shows there, if any does.
    """

    peak: Peak
    log_odds: float
    match: Match | None = None

    @property
    def confidence(self) -> float:
        """0..1."""
        return float(1.0 / (1.0 + np.exp(-self.log_odds)))

    @property
    def confirmed(self) -> bool:
        """Whether a keyframe shows the example there."""
        return self.match is not None and self.match.aligned


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
    weighing: Weighing,
) -> list[Finding]:
    """Return matches and proposals as separate places, surest first.

    A match counts where the field holds a surface. A proposal that no match is near to stays where
    it is: less sure than before where keyframes see it, as sure where none does.

    Args:
        proposals: of the field, best first.
        views: keyframes that were searched for the first of them.
        matches: of all keyframes.
        places: that may be answered.
        likeness: of these places.
        separation_m: least distance between two places.
        weighing: of both.
    """
    found: list[Finding] = []
    points = places.points.astype(np.float64)
    for match in sorted(matches, key=weighing.of_match, reverse=True):
        if _taken(match.point, found, separation_m):
            continue
        near = ((points - match.point) ** 2).sum(axis=1) <= _NEAR_M**2
        if near.any():
            peak = _refined(match, places, likeness, near)
            found.append(Finding(peak, weighing.of_match(match), match))
    for rank, peak in enumerate(proposals):
        if not _taken(peak.position, found, separation_m):
            unseen = rank < len(views) and not views[rank]
            doubt = 0.0 if unseen else weighing.silent
            found.append(Finding(peak, weighing.of_field(peak.score) + doubt))
    return _ranked(found, weighing.lead)


def _ranked(found: Sequence[Finding], lead: float) -> list[Finding]:
    """Return findings, surest first: the surer, the farther ahead of all others they are."""
    ranked = sorted(found, key=lambda finding: -finding.log_odds)
    if len(ranked) < 2:
        return ranked
    odds = np.array([finding.log_odds for finding in ranked])
    ahead = odds - np.where(np.arange(len(odds)) == 0, odds[1], odds[0])
    return [
        replace(one, log_odds=float(one.log_odds + lead * by))
        for one, by in zip(ranked, ahead, strict=True)
    ]


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


def matched(
    example: Cut, guesses: Sequence[View], grid: tuple[int, int], looks: Looks
) -> list[Match]:
    """Return where keyframes show the example.

    Args:
        example: window around the thing, with the pixel that is to be located.
        guesses: where to look.
        grid: token rows and columns of the keyframes' depth.
        looks: says how much windows look like the example.
    """
    window = np.asarray(cv2.cvtColor(example.window, cv2.COLOR_RGB2GRAY), np.uint8)
    templates = [(scale, _resized(window, scale * _COARSE)) for scale in _SCALES]
    placed = (_correlated(templates, guess, len(window)) for guess in guesses)
    pictures = {guess.keyframe: guess.keyframe.picture() for guess in guesses}
    coarse = _looked_at([one for one in placed if one is not None], pictures, looks, len(window))
    coarse = _thinned(sorted(coarse, key=lambda one: -(one.score + one.look)), len(window))
    fine = [_aligned(window, candidate) for candidate in coarse]
    fine = _looked_at(fine, pictures, looks, len(window))
    found = []
    for candidate in fine:
        keyframe = candidate.keyframe
        u, v = map(float, candidate.warp @ np.array([*example.middle, 1.0]))
        point = keyframe.point_at(u, v, grid)
        if point is not None:
            agreement = candidate.score if candidate.aligned else _SILENT
            view = View(keyframe, u, v)
            found.append(Match(point, view, agreement, candidate.look, candidate.aligned))
    return found


@dataclass(frozen=True)
class _Candidate:
    """Where the window may be in a keyframe.

    Attributes:
        warp: (2, 3) from pixels of the window to those of the keyframe.
        score: correlation of the two. look: cosine of their looks. aligned: the warp was fitted.
    """

    keyframe: Keyframe
    warp: NDArray[np.float64]
    score: float
    look: float = -1.0
    aligned: bool = False

    def middle(self, side: int) -> NDArray[np.float64]:
        """Return the pixel (2,) where the middle of a window of that side comes to lie."""
        return self.warp @ np.array([(side - 1) / 2, (side - 1) / 2, 1.0])


def _correlated(
    templates: list[tuple[float, NDArray[np.uint8]]], guess: View, side: int
) -> _Candidate | None:
    """Return the best shift and scale of the window around a guess; None where it does not fit.

    Args:
        templates: the window at each scale, at half resolution.
        guess: where to look.
        side: of the window, px.
    """
    picture, best = guess.keyframe.small_grey, None
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
        if (best is None or best.score < peak) and -1.0 < peak <= 1.0 + 1e-3:
            u = (left + column + width / 2) / _COARSE - 0.5
            v = (top + row + height / 2) / _COARSE - 0.5
            off = scale * (side - 1) / 2
            warp = np.array([[scale, 0.0, u - off], [0.0, scale, v - off]])
            best = _Candidate(guess.keyframe, warp, float(peak))
    return best


def _looked_at(
    candidates: list[_Candidate],
    pictures: Mapping[Keyframe, NDArray[np.uint8]],
    looks: Looks,
    side: int,
) -> list[_Candidate]:
    """Return candidates with how much the network's look at them is like that at the example.

    Args:
        candidates: where to look.
        pictures: of their keyframes, (H, W, 3) BGR.
        looks: says how much windows look like the example.
        side: of a window, px.
    """
    if not candidates:
        return []
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    windows = np.empty((len(candidates), side, side, 3), np.uint8)
    for window, one in zip(windows, candidates, strict=True):
        picture = pictures[one.keyframe]
        cut = cv2.warpAffine(
            picture, one.warp, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE
        )
        window[:] = cut[..., ::-1]
    likeness = looks(windows)
    return [replace(one, look=float(c)) for one, c in zip(candidates, likeness, strict=True)]


def _thinned(candidates: list[_Candidate], side: int) -> list[_Candidate]:
    """Return the best candidates (sorted) that are not the same place of the same keyframe."""
    kept: list[_Candidate] = []
    for candidate in candidates:
        if not any(_same(candidate, other, side) for other in kept):
            kept.append(candidate)
        if len(kept) == _ALIGNED:
            break
    return kept


def _same(a: _Candidate, b: _Candidate, side: int) -> bool:
    return a.keyframe is b.keyframe and math.dist(a.middle(side), b.middle(side)) < _APART


def _aligned(window: NDArray[np.uint8], candidate: _Candidate) -> _Candidate:
    """Return the candidate after affine alignment, or as it was where that does not hold."""
    u, v = candidate.middle(len(window))
    left, top = max(round(u) - _AROUND, 0), max(round(v) - _AROUND, 0)
    part = candidate.keyframe.grey[top : top + 2 * _AROUND, left : left + 2 * _AROUND]
    corner = np.array([[0.0, 0.0, left], [0.0, 0.0, top]])
    start: Any = (candidate.warp - corner).astype(np.float32)
    try:
        # OpenCV's stubs know no call with a smoothing but without a mask.
        agreement, warp = cv2.findTransformECC(  # type: ignore[call-overload]
            window, part, start, cv2.MOTION_AFFINE, _STEPS, None, _SMOOTHING
        )
    except cv2.error:  # did not converge, which says that these are not alike
        return candidate
    area = float(np.linalg.det(warp[:, :2].astype(np.float64)))
    if agreement < _AGREES or not _AREAS[0] < area < _AREAS[1]:
        return candidate
    warp = warp.astype(np.float64) + corner
    return replace(candidate, warp=warp, score=float(agreement), aligned=True)


def _resized(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    how = cv2.INTER_AREA if factor < 1.0 else cv2.INTER_LINEAR
    small: Any = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=how)
    return np.asarray(small, np.uint8)
