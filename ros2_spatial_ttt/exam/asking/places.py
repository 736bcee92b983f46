# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions about places: where things are, asked by name and by picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ros2_spatial_ttt.exam.asking.evidence import Known
from ros2_spatial_ttt.exam.asking.phrasing import plural
from ros2_spatial_ttt.exam.asking.setting import Setting, choose
from ros2_spatial_ttt.exam.question import Question
from ros2_spatial_ttt.sim.world import CATEGORIES, Thing
from ros2_spatial_ttt.types import ResultCode

__all__ = ['locates', 'pictures']

MOST_PLACES = 8
# An example picture shows the whole thing, near and large.
PICTURE_SHARE = 0.6
PICTURE_PIXELS = 2500
PICTURE_M = 4.0
PICTURE_MARGIN = 4  # px around the thing


def locates(setting: Setting) -> Iterator[Question]:
    """Yield locate at all ask times, half of them of what was not seen for longest."""
    most = max(2, setting.per_kind // 2)
    for ask_ns in setting.times():
        known = setting.known(ask_ns)
        rng = setting.rng('locate', ask_ns)
        names = [n for n, things in known.by_category.items() if len(things) <= MOST_PLACES]
        names.sort(key=lambda name: known.seen_last(known.by_category[name]))
        oldest = choose(rng, names[: len(names) // 3 + 1], most)
        others = choose(rng, [name for name in names if name not in oldest], most)
        for name in (*oldest, *others):
            yield _locate(setting, known, rng, name, known.by_category[name])
        absent = [name for name in CATEGORIES if name not in known.glimpsed]
        for name in choose(rng, absent, 1):
            yield _locate(setting, known, rng, name, ())


def _locate(
    setting: Setting, known: Known, rng: np.random.Generator, name: str, things: Sequence[Thing]
) -> Question:
    return setting.question(
        'locate',
        'locate',
        known,
        rng,
        {'a': name, 'things': plural(name)},
        phrasing='locate_all' if len(things) > 1 else 'locate',
        labels=(name,),
        places=tuple(thing.centre for thing in things),
        place_ids=tuple(thing.id for thing in things),
        verdict=ResultCode.OK if things else ResultCode.NOT_FOUND,
        evidence_ns=known.seen_last(things) if things else known.ask_ns,
    )


def pictures(setting: Setting) -> Iterator[Question]:
    """Yield locate_picture at all ask times: of things whose look is theirs alone in the home."""
    most = max(2, setting.per_kind // 2)
    for ask_ns in setting.times():
        known = setting.known(ask_ns)
        rng = setting.rng('locate_picture', ask_ns)
        found = 0
        things = [thing for things in known.by_category.values() for thing in things]
        for thing in choose(rng, things, len(things)):
            picture = _picture_of(setting, known, rng, thing) if _own_look(known, thing) else None
            if picture is None:
                continue
            yield setting.question(
                'locate',
                'locate_picture',
                known,
                rng,
                {},
                places=(thing.centre,),
                place_ids=(thing.id,),
                picture=picture,
                evidence_ns=known.seen_last((thing,)),
            )
            found += 1
            if found == most:
                break


def _own_look(known: Known, thing: Thing) -> bool:
    looks = [other.shape for other in known.by_category[thing.category]]
    return looks.count(thing.shape) == 1


def _picture_of(
    setting: Setting, known: Known, rng: np.random.Generator, thing: Thing
) -> tuple[int, tuple[int, int, int, int]] | None:
    """Return a frame of the first camera that shows the thing well where it is, and its box."""
    sights = setting.evidence.sights[0]
    stamps = setting.evidence.tour.stamps_ns
    place = next(p for p in known.places if p.thing.id == thing.id)
    good = np.flatnonzero(
        (sights.thing == thing.id)
        & sights.centred
        & (sights.share >= PICTURE_SHARE)
        & (sights.pixels >= PICTURE_PIXELS)
        & (sights.distance <= PICTURE_M)
        & (stamps[sights.frame] <= known.ask_ns)
        & (stamps[sights.frame] >= place.begin_ns)
    )
    if not len(good):
        return None
    frame = int(sights.frame[good[int(rng.integers(len(good)))]])
    return frame, _box_in_picture(setting, frame, thing)


def _box_in_picture(setting: Setting, frame: int, thing: Thing) -> tuple[int, int, int, int]:
    """Return (x, y, width, height) px around the corners of the thing's box."""
    rig, pose = setting.evidence.tour.cameras[0], setting.evidence.poses[0][frame]
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners = 0.5 * signs * np.asarray(thing.size) @ thing.pose()[:3, :3].T + thing.centre
    local = (corners - pose[:3, 3]) @ pose[:3, :3]
    focal = rig.width / 2.0 / np.tan(rig.hfov / 2.0)
    depth = np.maximum(local[:, 2], 0.05)
    x = rig.width / 2.0 + focal * local[:, 0] / depth
    y = rig.height / 2.0 + focal * local[:, 1] / depth
    left, top = max(0, int(x.min()) - PICTURE_MARGIN), max(0, int(y.min()) - PICTURE_MARGIN)
    right = min(rig.width, int(x.max()) + PICTURE_MARGIN)
    bottom = min(rig.height, int(y.max()) + PICTURE_MARGIN)
    return left, top, right - left, bottom - top
