# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Looking again: was a believed thing detected in the frames that should show it?

All stores of the exam judge by the newest looks whether a thing is there now. It is what lets go
of removed things, of false detections and of confused names, so that none of them loses to the
memory for want of that evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam.systems.clustering import Votes, worth_judging

__all__ = ['FADE', 'FAR_M', 'in_plain_view', 'judged', 'reach_of']

FAR_M = 5.0
NEAR_M = 0.6
SMALLEST = 0.04  # apparent edge over distance; a smaller thing may be missed by a detector
UNHIDDEN = 0.75  # share of the rays towards it that must reach it
LEAST_RAYS = 2
SLACK_M = 0.05
SPREAD = 0.1  # rad, within which a ray counts as towards a small thing
EDGE_OF_VIEW = 0.75  # of the widest angle between a ray and the optical axis
NEAR_HIT_M = 0.3  # a detection of the name so near, or half an edge, is the thing seen again
LOOKS = 6.0  # after so many, what was seen before has faded to 1/e
FADE = 1.0 - 1.0 / LOOKS
LEAST_SHARE = FADE**18  # a look that counts less than this is not sought
MOST_TRIES = 150  # newest frames towards a thing in which it is sought
ABOUT_AHEAD = 0.8  # cosine of the angle to the optical axis


def in_plain_view(
    camera: NDArray, ahead: NDArray, surface: NDArray, points: NDArray, size: NDArray
) -> NDArray[np.bool_]:
    """Return which places a frame looked at without anything in between, (n,).

    Args:
        camera: (3,) m, where the camera was, map frame.
        ahead: (3,) unit vector of its optical axis.
        surface: (m, 3) m, measured surface points.
        points: (n, 3) m, centres of things.
        size: (n, 3) m of each.
    """
    out = np.zeros(len(points), np.bool_)
    if not len(surface):
        return out
    edge, apparent = edges(size), np.sqrt(np.sort(size, axis=1)[:, 1:].prod(axis=1))
    rays = surface - camera
    reach = np.linalg.norm(rays, axis=1)
    rays = rays / np.maximum(reach, 1e-6)[:, None]
    widest = np.arccos(np.clip((rays @ ahead).min(), -1.0, 1.0))
    towards = points - camera
    distance = np.linalg.norm(towards, axis=1)
    towards = towards / np.maximum(distance, 1e-6)[:, None]
    rows = np.flatnonzero(
        (distance > NEAR_M)
        & (distance < FAR_M)
        & (apparent >= SMALLEST * distance)
        & (towards @ ahead > np.cos(EDGE_OF_VIEW * widest))
    )
    if not len(rows):
        return out
    distance, edge = distance[rows], edge[rows]
    spread = np.maximum(0.5 * edge / distance, SPREAD)
    near = towards[rows] @ rays.T > np.cos(spread)[:, None]
    # Not by its longer edge: else one would look through the wall that a wardrobe stands at.
    nearest = distance - 0.5 * size[rows, :2].min(axis=1) - SLACK_M
    reaches = reach[None] >= nearest[:, None]
    count = near.sum(axis=1)
    out[rows] = (count >= LEAST_RAYS) & ((near & reaches).sum(axis=1) >= UNHIDDEN * count)
    return out


def edges(size: NDArray) -> NDArray:
    """Return a typical edge of things of some size (n, 3): the middle one of the three, (n,)."""
    return np.median(size, axis=1)


def reach_of(size: NDArray) -> NDArray:
    """Return how far from things a detection may lie to be that thing seen again, (n,) m."""
    return np.maximum(NEAR_HIT_M, 0.5 * edges(size))


def judged(
    views: NDArray,
    stamps_ns: NDArray[np.int64],
    surface: Callable[[int], NDArray],
    votes: Votes,
    found: Votes,
) -> Votes:
    """Return things with how often, of late, they were seen again and missed.

    Args:
        views: (k, 6) m, place of the camera and unit vector of its axis, oldest first.
        stamps_ns: (k,) stamps of all frames.
        surface: returns the surface points (m, 3) m of a frame.
        votes: all detections of the name in these frames.
        found: n things of that name.
    """
    reach, possible = reach_of(found.size), worth_judging(found)
    hits, missed = np.zeros(len(found)), np.zeros(len(found))
    for thing in np.flatnonzero(possible):
        point, size = found.point[thing], found.size[thing]
        again = np.linalg.norm(votes.point - point, axis=1) < reach[thing]
        weight = np.zeros(len(stamps_ns))
        np.maximum.at(weight, np.searchsorted(stamps_ns, votes.last_ns[again]), votes.mass[again])
        share, tries = 1.0, 0
        for number in np.flatnonzero(_faced(views, point) | (weight > 0.0))[::-1]:
            if weight[number] > 0.0:
                hits[thing] += share * weight[number]
            elif tries < MOST_TRIES:
                tries += 1
                if not _missed(views[number], surface(number), point, size):
                    continue
                missed[thing] += share
            else:
                continue
            share *= FADE
            if share < LEAST_SHARE:
                break
    return replace(found, hits=hits, missed=missed)


def _faced(views: NDArray, point: NDArray) -> NDArray[np.bool_]:
    """Return which views (k, 6) have a point near enough and about ahead, (k,)."""
    towards = point - views[:, :3]
    distance = np.linalg.norm(towards, axis=1)
    ahead = np.einsum('ij,ij->i', towards, views[:, 3:])
    return (distance < FAR_M) & (ahead > ABOUT_AHEAD * distance)


def _missed(view: NDArray, surface: NDArray, point: NDArray, size: NDArray) -> bool:
    seen = in_plain_view(view[:3], view[3:], surface, point[None], size[None])
    return bool(seen[0])
