# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a stream has shown of a home by a time: the causal truth that questions are made from.

A thing is known as it was last visible. Whatever the stream leaves open (only glimpsed, moved with
the old place not looked at since, gone to an unknown place) makes its category *vague* at that
time, and vague categories are not asked about.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam.asking.view import NEVER, View
from ros2_spatial_ttt.geometry import box_distance
from ros2_spatial_ttt.sim.senses.sights import visible
from ros2_spatial_ttt.sim.world import Change, Home, Sights, Thing, Tour, Wall, things_at

__all__ = ['Evidence', 'Known', 'Place', 'Shown', 'gap']

# A thing counts as seen from this many frames in which it is visible.
ENOUGH_FRAMES = 3
# A place without its thing counts as looked at from this many frames …
LOOKED_FRAMES = 4
# … in which this share of its box's points is in view.
LOOKED_SHARE = 0.5
LOOKED_M = 4.5
HIDING_M = 0.5  # longest edge from which a thing hides what is behind it


class Shown(Protocol):
    """What questions need of an episode (``sim.episode.Episode``)."""

    home: Home
    tour: Tour
    sights: tuple[Sights, ...]

    def map_T_camera(self, camera: int) -> NDArray[np.float64]:  # noqa: N802
        """Return (n, 4, 4), optical frame to map, of each frame."""
        ...


@dataclass(frozen=True)
class Place:
    """A thing at a place, from one change to the next.

    Attributes:
        thing: as it stands there. begin_ns, end_ns: it stood there within [begin, end).
        seen_ns: stamps of frames in which it was visible there. glimpsed_ns: first stamp at which
            anything of it was in view, or NEVER.
        looked_ns: stamp from which the place was known to be left, or NEVER.
        peeked_ns: first stamp at which any of the left place was in view, or NEVER.
        change: that brought it here, or None.
    """

    thing: Thing
    begin_ns: int
    end_ns: int
    seen_ns: NDArray[np.int64]
    glimpsed_ns: int
    looked_ns: int
    peeked_ns: int
    change: Change | None


@dataclass(frozen=True)
class Known:
    """What had been shown by a time.

    Attributes:
        ask_ns: that time.
        places: of every thing that counts as seen, as it was last visible, by id.
        first_ns, last_ns: of each of these things, by id: when it was seen first (anywhere) and
            last.
        vague: categories the stream leaves something open about.
        moved: categories of which something had been moved or removed, noticed or not.
        glimpsed: categories of which anything had been in view.
    """

    ask_ns: int
    places: tuple[Place, ...]
    first_ns: dict[int, int]
    last_ns: dict[int, int]
    vague: frozenset[str]
    moved: frozenset[str]
    glimpsed: frozenset[str]

    @cached_property
    def by_category(self) -> dict[str, list[Thing]]:
        """Things of each category that nothing is open about, by name."""
        found = defaultdict(list)
        for place in self.places:
            if place.thing.category not in self.vague:
                found[place.thing.category].append(place.thing)
        return dict(sorted(found.items()))

    @cached_property
    def unique(self) -> dict[str, Thing]:
        """The thing of each category that has exactly one and of which nothing had moved."""
        return {
            category: things[0]
            for category, things in self.by_category.items()
            if len(things) == 1 and category not in self.moved
        }

    def seen_last(self, things: Sequence[Thing]) -> int:
        """Return when the one of them that was not seen for longest was last seen."""
        return min(self.last_ns[thing.id] for thing in things)


@lru_cache(maxsize=4096)
def gap(a: Thing, b: Thing) -> float:
    """Return the distance of the closest points of two things' boxes, m."""
    return box_distance(a.centre, a.size, a.yaw, b.centre, b.size, b.yaw)


class Evidence:
    """All that can be known of a tour at any time.

    Args:
        episode: home, tour and what was visible.
    """

    def __init__(self, episode: Shown) -> None:
        self.home, self.tour = episode.home, episode.tour
        self.sights = episode.sights
        self.poses = [episode.map_T_camera(i) for i in range(len(episode.sights))]
        self.view = View(
            self.tour.stamps_ns,
            list(zip(self.tour.cameras, self.poses, strict=True)),
            (*self.home.walls, *_panes(self.home)),
        )
        glimpses, views = self._stamps_by_thing()
        self._places = self._all_places(glimpses, views)
        self._known: dict[int, Known] = {}

    @property
    def begin_ns(self) -> int:
        """Stamp of the first frame."""
        return int(self.tour.stamps_ns[0])

    def things(self) -> tuple[int, ...]:
        """Return the ids of all things there ever were."""
        return tuple(self._places)

    @cached_property
    def singles(self) -> frozenset[str]:
        """Categories of which the home has ever had one thing only, seen or not."""
        counts = Counter(places[0].thing.category for places in self._places.values())
        return frozenset(name for name, count in counts.items() if count == 1)

    def places_of(self, thing: int) -> tuple[Place, ...]:
        """Return the places of a thing in order of time."""
        return self._places[thing]

    def at(self, ask_ns: int) -> Known:
        """Return what had been shown by a time."""
        if ask_ns not in self._known:
            self._known[ask_ns] = self._look_back(ask_ns)
        return self._known[ask_ns]

    def _look_back(self, ask_ns: int) -> Known:
        kept, first, last, vague, moved, glimpsed = [], {}, {}, set(), set(), set()
        for number, places in self._places.items():
            category = places[0].thing.category
            if places[0].end_ns <= ask_ns:
                moved.add(category)
            if any(place.glimpsed_ns <= ask_ns for place in places):
                glimpsed.add(category)
            current = _current(places, ask_ns)
            if current == 'vague':
                vague.add(category)
            elif current is not None:
                kept.append(current)
                first[number] = int(min(p.seen_ns[0] for p in places if len(p.seen_ns)))
                last[number] = int(current.seen_ns[_until(current.seen_ns, ask_ns) - 1])
        return Known(
            ask_ns,
            tuple(kept),
            first,
            last,
            frozenset(vague),
            frozenset(moved),
            frozenset(glimpsed),
        )

    def _stamps_by_thing(self) -> tuple[dict[int, NDArray], dict[int, NDArray]]:
        """Return stamps per thing, of all frames with it in view and of those that count."""
        things = np.concatenate([s.thing for s in self.sights])
        stamps = self.tour.stamps_ns[np.concatenate([s.frame for s in self.sights])]
        counts = np.concatenate([visible(s) for s in self.sights])
        return _split(things, stamps), _split(things[counts], stamps[counts])

    def _all_places(
        self, glimpses: dict[int, NDArray], views: dict[int, NDArray]
    ) -> dict[int, tuple[Place, ...]]:
        stays = {thing.id: [(thing, 0, None)] for thing in self.home.things}
        for change in self.tour.changes:
            stays.setdefault(change.thing, []).append((change.now, change.stamp_ns, change))
        none = np.zeros(0, np.int64)
        return {
            number: self._places_of_one(
                stays[number], glimpses.get(number, none), views.get(number, none)
            )
            for number in sorted(stays)
        }

    def _places_of_one(
        self,
        stays: list[tuple[Thing | None, int, Change | None]],
        glimpsed: NDArray,
        seen: NDArray,
    ) -> tuple[Place, ...]:
        ends = [begin for _, begin, _ in stays[1:]] + [NEVER]
        places = []
        for (thing, begin, change), end in zip(stays, ends, strict=True):
            if thing is None:
                continue
            here = glimpsed[(glimpsed >= begin) & (glimpsed < end)]
            looked, peeked = self._left(thing, end) if len(here) and end < NEVER else (NEVER,) * 2
            places.append(
                Place(
                    thing=thing,
                    begin_ns=begin,
                    end_ns=end,
                    seen_ns=seen[(seen >= begin) & (seen < end)],
                    glimpsed_ns=int(here[0]) if len(here) else NEVER,
                    looked_ns=looked,
                    peeked_ns=peeked,
                    change=change,
                )
            )
        return tuple(places)

    def _left(self, thing: Thing, since_ns: int) -> tuple[int, int]:
        """Return when the place that a thing left was looked at, and when anything of it was."""
        points = _box_points(thing)
        others = [
            other
            for other in things_at(self.home, self.tour.changes, since_ns)
            if max(other.size) >= HIDING_M and other.id != thing.id and gap(thing, other) > 0.0
        ]
        looked = self.view.seen_at(
            points, since_ns=since_ns, frames=LOOKED_FRAMES, most_m=LOOKED_M, things=others
        )
        peeked = self.view.seen_at(points, since_ns=since_ns, most_m=2 * LOOKED_M, widen=1.05)
        return int(np.sort(looked)[int(np.ceil(LOOKED_SHARE * len(points))) - 1]), int(
            peeked.min()
        )


def _panes(home: Home) -> list[Wall]:
    """Return what closes the openings to the outside: no depth is measured beyond them."""
    return [Wall(o.centre, o.size, ('',) * 4) for o in home.openings if -1 in o.rooms]


def _split(things: NDArray, stamps: NDArray) -> dict[int, NDArray[np.int64]]:
    """Return the sorted distinct stamps of each thing."""
    order = np.lexsort((stamps, things))
    things, stamps = things[order], stamps[order]
    numbers, begins = np.unique(things, return_index=True)
    parts = np.split(stamps, begins[1:]) if len(numbers) else []
    return {int(n): np.unique(part) for n, part in zip(numbers, parts, strict=True)}


def _until(stamps: NDArray[np.int64], ask_ns: int) -> int:
    return int(np.searchsorted(stamps, ask_ns, side='right'))


def _current(places: Sequence[Place], ask_ns: int) -> Place | str | None:
    """Return where a thing is known to be, 'vague', or None: never seen or known to be gone."""
    past = [place for place in places if place.begin_ns <= ask_ns]
    seen = [_until(place.seen_ns, ask_ns) >= ENOUGH_FRAMES for place in past]
    glimpsed = [place.glimpsed_ns <= ask_ns for place in past]
    if not any(seen):
        return 'vague' if any(glimpsed) else None
    last = max(i for i, was in enumerate(seen) if was)
    place = past[last]
    if any(glimpsed[last + 1 :]):
        return 'vague'
    if any(was and p.looked_ns > ask_ns for p, was in zip(past[:last], glimpsed, strict=False)):
        return 'vague'
    if place.peeked_ns > ask_ns:
        return place
    # It has left, and somebody looked there since.
    removed = last == len(places) - 1
    return None if removed and place.looked_ns <= ask_ns else 'vague'


def _box_points(thing: Thing) -> NDArray[np.float64]:
    """Return the middle of a thing's box and eight points towards its corners, (9, 3) m."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    local = np.concatenate([np.zeros((1, 3)), 0.35 * signs * np.asarray(thing.size)])
    return local @ thing.pose()[:3, :3].T + np.asarray(thing.centre)
