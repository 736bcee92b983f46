# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Detections of one label to instances: one way for all stores of the exam.

Greedy mode seeking: the place with most votes around it becomes an instance and takes what lies
within a radius that follows from the size of the thing; then the next. Stores differ in which
detections they still have, not in how they group them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ros2_spatial_ttt.exam.systems.glimpse import voxel_keys
from ros2_spatial_ttt.types import Instance

__all__ = ['Votes', 'instances', 'things', 'worth_judging']

# Chosen on train seeds with noisy percepts.
CELL_M = 0.1  # votes are summed in cells of this edge before they are grouped
KERNEL_M = 0.15  # width of the sum that picks the next instance
RADIUS_SHARE = 0.6  # of the middle of the two horizontal edges
RADIUS_M = (0.25, 0.9)
SATELLITE_REACH = 2.0  # radii within which votes beside a heavy thing are its own
SATELLITE_SHARE = 0.15  # of the mass of the heavy thing, at most
HALF_SURE = 0.95  # weight of detections at which a thing is as likely there as not
MISS_WEIGHT = 0.4  # of a look that missed a thing against one that showed it
LEAST_CONFIDENCE = 0.25
POSITION_M = 0.03  # error of a position that no number of detections removes


@dataclass(frozen=True)
class Votes:
    """Weighted detections of one label, n rows, map frame.

    Attributes:
        point: (n, 3) m. mass: (n,) > 0. size: (n, 3) m. axis: (n, 2) mean of (cos 2 yaw,
        sin 2 yaw). first_ns, last_ns: (n,) int64. count: (n,) int64 detections in the row.
        hits, missed: (n,) faded numbers of looks that showed the thing and that should have.
    """

    point: NDArray[np.float64]
    mass: NDArray[np.float64]
    size: NDArray[np.float64]
    axis: NDArray[np.float64]
    first_ns: NDArray[np.int64]
    last_ns: NDArray[np.int64]
    count: NDArray[np.int64]
    hits: NDArray[np.float64]
    missed: NDArray[np.float64]

    @staticmethod
    def made(
        point: NDArray, weight: NDArray, size: NDArray, yaw: NDArray, stamp_ns: NDArray
    ) -> Votes:
        """Return single detections as votes."""
        return Votes(
            point=np.asarray(point, np.float64),
            mass=np.maximum(np.asarray(weight, np.float64), 1e-3),
            size=np.asarray(size, np.float64),
            axis=np.stack([np.cos(2.0 * yaw), np.sin(2.0 * yaw)], axis=-1).astype(np.float64),
            first_ns=stamp_ns,
            last_ns=stamp_ns,
            count=np.ones(len(point), np.int64),
            hits=np.zeros(len(point)),
            missed=np.zeros(len(point)),
        )

    def __len__(self) -> int:
        return len(self.mass)

    def rows(self, chosen: NDArray) -> Votes:
        """Return some rows, by mask or number."""
        return Votes(**{name: values[chosen] for name, values in vars(self).items()})

    def summed(self, group: NDArray[np.int64], groups: int) -> Votes:
        """Return one row per group; ``group`` (n,) is that of each row, 0 … groups - 1."""
        mass = np.bincount(group, self.mass, groups)
        first = np.full(groups, np.iinfo(np.int64).max)
        last = np.zeros(groups, np.int64)
        np.minimum.at(first, group, self.first_ns)
        np.maximum.at(last, group, self.last_ns)

        def mean(values: NDArray) -> NDArray[np.float64]:
            columns = [np.bincount(group, self.mass * column, groups) for column in values.T]
            return np.stack(columns, axis=1) / mass[:, None]

        return Votes(
            point=mean(self.point),
            mass=mass,
            size=mean(self.size),
            axis=mean(self.axis),
            first_ns=first,
            last_ns=last,
            count=np.bincount(group, self.count, groups).astype(np.int64),
            hits=mean(self.hits[:, None])[:, 0],
            missed=mean(self.missed[:, None])[:, 0],
        )


def things(votes: Votes) -> tuple[Votes, NDArray[np.float64]]:
    """Return one row per thing that votes of one label speak for, and their scatter, (n, 3) m²."""
    if not len(votes):
        return votes, np.zeros((0, 3))
    _, cell = np.unique(voxel_keys(votes.point, CELL_M), return_inverse=True)
    cells = votes.summed(cell.reshape(-1), int(cell.max()) + 1)
    group = _without_satellites(cells, _groups(cells))
    found = cells.summed(group, int(group.max()) + 1)
    apart = (cells.point - found.point[group]) ** 2
    columns = [np.bincount(group, cells.mass * column, len(found)) for column in apart.T]
    return found, np.stack(columns, axis=1) / found.mass[:, None]


def worth_judging(found: Votes) -> NDArray[np.bool_]:
    """Return which things could be reported if all looks at them were hits, (n,)."""
    return found.mass / (found.mass + HALF_SURE) >= LEAST_CONFIDENCE


def instances(
    found: Votes, scatter: NDArray[np.float64], *, label: str, first_id: int
) -> list[Instance]:
    """Return things as instances, surest first; those that are likely gone are left out.

    Args:
        found: one row per thing, with its newest looks.
        scatter: (n, 3) m² of the votes of each.
        label: name for the instances.
        first_id: number of the first; others follow.
    """
    confidence = found.hits / (found.hits + MISS_WEIGHT * found.missed + HALF_SURE)
    order = np.argsort(-confidence, kind='stable')
    sure = [row for row in order if confidence[row] >= LEAST_CONFIDENCE]
    return [
        Instance(
            id=first_id + rank,
            label=label,
            position=found.point[row],
            covariance=np.diag(
                (scatter[row] + CELL_M**2 / 12.0) / found.count[row] + POSITION_M**2
            ),
            size=found.size[row],
            confidence=float(confidence[row]),
            first_seen_ns=int(found.first_ns[row]),
            last_seen_ns=int(found.last_ns[row]),
            observations=int(found.count[row]),
            yaw=float(0.5 * np.arctan2(found.axis[row, 1], found.axis[row, 0])),
        )
        for rank, row in enumerate(sure)
    ]


def _without_satellites(cells: Votes, group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the groups with the scattered votes beside a heavy thing given to it."""
    found = cells.summed(group, int(group.max()) + 1)
    owner = np.arange(len(found))
    radius = SATELLITE_REACH * _radius(found)
    for thing in np.argsort(found.mass, kind='stable'):
        apart = np.linalg.norm(found.point - found.point[thing], axis=1)
        heavy = (apart < radius) & (found.mass * SATELLITE_SHARE > found.mass[thing])
        if heavy.any():
            owner[thing] = int(np.argmin(np.where(heavy, apart, np.inf)))
    # From the heaviest down, so that a satellite of a satellite ends at a thing.
    for thing in np.argsort(-found.mass, kind='stable'):
        owner[thing] = owner[owner[thing]]
    _, group = np.unique(owner[group], return_inverse=True)
    return group.reshape(-1)


def _radius(votes: Votes) -> NDArray[np.float64]:
    """Return how far from its middle the votes of a thing lie, (n,) m."""
    flat = np.sqrt(votes.size[:, 0] * votes.size[:, 1])
    return np.clip(RADIUS_SHARE * flat, *RADIUS_M)


def _groups(cells: Votes) -> NDArray[np.int64]:
    """Return the number of the thing that each cell belongs to, (n,)."""
    tree = cKDTree(cells.point)
    density = _density(cells, tree)
    radius = _radius(cells)
    group = np.full(len(cells), -1, np.int64)
    number = 0
    for seed in np.argsort(-density, kind='stable'):
        if group[seed] >= 0:
            continue
        near = np.array(tree.query_ball_point(cells.point[seed], radius[seed]))
        group[near[group[near] < 0]] = number
        number += 1
    return group


def _density(cells: Votes, tree: cKDTree) -> NDArray[np.float64]:
    """Return the mass around each cell under a Gaussian kernel, (n,)."""
    pairs = tree.query_pairs(2.5 * KERNEL_M, output_type='ndarray')
    a, b = pairs[:, 0], pairs[:, 1]
    apart = cells.point[a] - cells.point[b]
    kernel = np.exp(-np.einsum('ij,ij->i', apart, apart) / (2.0 * KERNEL_M**2))
    count = len(cells)
    return (
        cells.mass
        + np.bincount(a, kernel * cells.mass[b], count)
        + np.bincount(b, kernel * cells.mass[a], count)
    )
