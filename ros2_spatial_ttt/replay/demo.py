# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The command ``spatial-ttt demo``: node, recording over DDS, questions, table, picture."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig, from_flat
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.replay import picture, things
from ros2_spatial_ttt.replay.bag import Bag, BagOptions
from ros2_spatial_ttt.replay.cards import Shown
from ros2_spatial_ttt.replay.run import map_view
from ros2_spatial_ttt.replay.things import Thing
from ros2_spatial_ttt.resources import share_directory
from ros2_spatial_ttt.ros.conversions import stamp_to_ns
from ros2_spatial_ttt.types import Answer, Example, Frame, Query, QueryType, Region, ResultCode

__all__ = ['Asked', 'add_arguments', 'run', 'table']

DEMO_BAG = Path('data', 'demo_room')
SNAPSHOT = 'demo'
THINGS = 6
# Frames over DDS per second of real time: faster than most recordings, slower than the node.
FRAMES_PER_S, TOP_RATE = 10.0, 10.0
WAIT_S = 60.0
MAX_FRAMES = 150
# Half width of the interval that holds 90 % of a normal distribution, in standard deviations.
NORMAL_90 = 1.645


@dataclass(frozen=True)
class Asked:
    """A question, its answer and what is known about the truth.

    Attributes:
        place: (3,) true place in metres, map frame, or None.
        expected: result code that is right, or None where it is not known.
        value: true value, or NaN.
        round_trip_ms: from the call to the response.
    """

    title: str
    query: Query
    answer: Answer
    round_trip_ms: float
    place: NDArray[np.float64] | None = None
    expected: ResultCode | None = None
    value: float = float('nan')

    @property
    def error(self) -> float:
        """Distance of the first answer from the true place, or of the value from the true one."""
        if np.isfinite(self.value):
            return abs(self.answer.value - self.value)
        if self.place is None or not self.answer.instances:
            return float('nan')
        return float(np.linalg.norm(self.answer.instances[0].position - self.place))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``spatial-ttt demo``."""
    parser.add_argument(
        '--bag', type=Path, metavar='DIR', help='a posed RGB-D rosbag2 (default: data/demo_room)'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('out/demo'),
        metavar='DIR',
        help='where picture, answers and log go (default out/demo)',
    )
    parser.add_argument(
        '--rate',
        type=float,
        default=0.0,
        metavar='R',
        help='speed of playing (default: about 10 frames per second)',
    )
    parser.add_argument(
        '--model', default=MemoryConfig().model, help='model in models/, or a path to one'
    )


def run(args: argparse.Namespace) -> int:
    """Carry out ``spatial-ttt demo``."""
    if args.rate < 0:
        raise ConfigError(f'--rate: expected more than 0, got {args.rate}')
    picture.require_matplotlib()
    # ROS 2 is imported before anything is printed: where its wheels are used, the first import
    # starts the program anew to set the library path.
    from ros2_spatial_ttt.replay.session import NodeSession, node_parameters

    path = args.bag or share_directory() / DEMO_BAG
    args.out.mkdir(parents=True, exist_ok=True)
    with Bag(path, BagOptions()) as bag, tempfile.TemporaryDirectory() as folder:
        frames = _some_frames(bag)
        parameters, words = node_parameters(bag, directory=Path(folder))
        parameters['memory'] |= {'model': args.model}
        print(f'1/4  starting the node; its log is {args.out / "node.log"}')
        with NodeSession(args.out, parameters, options=words) as session:
            session.bring_up()
            _play(bag, session, frames, args.rate or _suitable_rate(bag))
            print('3/4  asking over the service')
            asked = _ask_all(session.ask, frames, things.read_truth(path))
            print(f'\n{table(asked)}\n')
            snapshot = session.save(SNAPSHOT)
            memory = SpatialMemory(from_flat(MemoryConfig, {'model': args.model}))
            memory.load(snapshot)
            code = session.stop()
        print(f'4/4  the node ended with code {code}; drawing')
        out = args.out / 'demo.png'
        _draw(out, memory, frames, asked, path.resolve().name)
    print(f'     picture: {out}')
    return 0 if code == 0 else 1


def table(asked: list[Asked]) -> str:
    """Return the questions and answers as aligned columns."""
    rows = [('', 'question', 'verdict', 'answer', '90 %', 'error', 'ms')]
    for number, item in enumerate(asked, start=1):
        name = item.answer.code.name.lower().replace('_', ' ')
        wrong = item.expected is not None and item.answer.code != item.expected
        verdict = f'{name} (wrong)' if wrong else name
        error = f'{item.error:.2f} m' if np.isfinite(item.error) else ''
        rows.append(
            (
                str(number),
                item.title,
                verdict,
                *_numbers(item),
                error,
                f'{item.round_trip_ms:.0f}',
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return '\n'.join([lines[0], '-' * len(lines[0]), *lines[1:]])


def _numbers(item: Asked) -> tuple[str, str]:
    """Return the answer in short and its 90 % interval."""
    answer = item.answer
    if np.isfinite(answer.value) and answer.unit == 'm':
        return f'{answer.value:.2f} m', f'{answer.value_low:.2f} to {answer.value_high:.2f} m'
    if item.query.type == QueryType.DESCRIBE or not answer.instances:
        return answer.sentence or answer.message, ''
    found = answer.instances[0]
    radius_m = NORMAL_90 * float(np.sqrt(np.linalg.eigvalsh(found.covariance)[-1]))
    guess = '' if answer.code == ResultCode.OK else 'best guess '
    x, y, z = found.position
    return f'{guess}({x:.2f}, {y:.2f}, {z:.2f}) m', f'± {radius_m:.2f} m'


def _some_frames(bag: Bag) -> list[Frame]:
    """Return evenly spaced frames of the recording, few enough to keep."""
    step = max(1, bag.frame_count // MAX_FRAMES)
    frames = [frame for index, frame in enumerate(bag.frames()) if index % step == 0]
    if not frames:
        raise ConfigError(f'{bag.path} gives no complete frame; refused: {dict(bag.refused)}')
    return frames


def _suitable_rate(bag: Bag) -> float:
    return float(np.clip(FRAMES_PER_S * bag.duration_s / max(bag.frame_count, 1), 1.0, TOP_RATE))


def _play(bag: Bag, session: Any, frames: list[Frame], rate: float) -> None:
    """Play the recording and wait until the node has taken all of it."""
    from ros2_spatial_ttt.replay.publish import Player
    from ros2_spatial_ttt.replay.session import LATE_S

    print(
        f'2/4  playing {bag.frame_count} frames of {bag.path} over DDS, {rate:.1f} × as recorded'
    )
    player = Player(bag, session.node, warn=lambda sentence: print(f'     {sentence}'))
    names = {bag.topics.colour, bag.topics.info, bag.topics.depth, bag.topics.pose} - {''}
    if not player.wait_for_subscribers(WAIT_S, topics=names):
        raise ConfigError(f'the node did not subscribe all of {sorted(names)} in {WAIT_S:g} s')
    player.play(rate=rate)
    count, last_ns = bag.frame_count, frames[-1].stamp_ns

    def all_came() -> bool:
        status = session.status
        return status is not None and status.frames_received >= count and not status.queue_length

    if not player.run_clock(all_came, rate=1.0, timeout_s=WAIT_S):
        print(f'     after {WAIT_S:g} s not all frames have come; going on with what is there')
    # The last, partial chunk is written when the node has waited long enough for the rest of it.
    player.run_clock(
        lambda: stamp_to_ns(session.status.newest_stamp) >= last_ns, rate=LATE_S, timeout_s=4.0
    )
    status = session.status
    refused = dict(
        zip(status.refused_reasons, (int(n) for n in status.refused_counts), strict=True)
    )
    print(
        f'     {status.frames_accepted} of {count} frames remembered, '
        f'{status.state_bytes / 1e6:.2f} MB, update p50 {status.update_p50_ms:.0f} ms; '
        f'refused: {refused or "none"}'
    )


def _ask_all(
    ask: Callable[[Query], tuple[Answer, float]], frames: list[Frame], boxes: list[Any]
) -> list[Asked]:
    shown = things.choose_things(frames, boxes, count=THINGS)
    asked = [
        _ask(
            ask,
            f'where is {thing.name}?',
            _by_example(QueryType.LOCATE, thing),
            place=thing.point,
            expected=ResultCode.OK,
        )
        for thing in shown
    ]
    if shown:
        asked.append(
            _ask(
                ask,
                f'is there {shown[0].name}?',
                _by_example(QueryType.EXISTS, shown[0]),
                place=shown[0].point,
                expected=ResultCode.OK,
            )
        )
    asked += _ask_distance(ask, asked, shown)
    if len(shown) > 1:
        asked.append(_ask_nearest(ask, shown[1], frames[0]))
    return asked + _ask_points(ask, frames, shown)


def _ask_distance(ask: Callable, asked: list[Asked], shown: list[Thing]) -> list[Asked]:
    """Ask how far apart two things are that were found by example."""
    found = [index for index in range(len(shown)) if asked[index].answer.instances]
    if len(found) < 2:
        return []
    first, second = found[0], found[1]
    ids = [asked[index].answer.instances[0].id for index in (first, second)]
    query = Query(QueryType.DISTANCE, labels=tuple(f'#{number}' for number in ids))
    value = float(np.linalg.norm(shown[first].point - shown[second].point))
    return [
        _ask(
            ask,
            f'how far from {first + 1} to {second + 1}?',
            query,
            value=value,
            expected=ResultCode.OK,
        )
    ]


def _ask_nearest(ask: Callable, thing: Thing, frame: Frame) -> Asked:
    query = _by_example(QueryType.NEAREST, thing)
    viewpoint = np.eye(4)
    viewpoint[:3, 3] = frame.map_T_camera[:3, 3]
    return _ask(
        ask,
        f'the {thing.name} nearest to the start?',
        replace(query, viewpoint=viewpoint),
        place=thing.point,
        expected=ResultCode.OK,
    )


def _ask_points(ask: Callable, frames: list[Frame], shown: list[Thing]) -> list[Asked]:
    """Describe a point on a thing, one in free space and one that was never seen."""
    points = [
        (shown[0].point if shown else None, ResultCode.OK),
        (things.free_point(frames), ResultCode.NOT_FOUND),
        (things.unseen_point(frames), ResultCode.NEVER_OBSERVED),
    ]
    asked = []
    for point, expected in points:
        if point is not None:
            corner = tuple(float(value) for value in point)
            title = 'what is at ({:.1f}, {:.1f}, {:.1f})?'.format(*corner)
            query = Query(QueryType.DESCRIBE, region=Region(corner, corner))
            asked.append(_ask(ask, title, query, place=point, expected=expected))
    return asked


def _by_example(kind: QueryType, thing: Thing) -> Query:
    return Query(kind, examples=(Example(thing.frame.colour, thing.roi),), max_results=3)


def _ask(ask: Callable, title: str, query: Query, **known: Any) -> Asked:
    answer, round_trip_ms = ask(query)
    return Asked(title, query, answer, round_trip_ms, **known)


def _draw(
    out: Path, memory: SpatialMemory, frames: list[Frame], asked: list[Asked], name: str
) -> None:
    path = [frame.map_T_camera[:3, 3] for frame in frames]
    view = map_view(memory, path, tile_m=MemoryConfig().tiles.size_m)
    shown = [_shown(item) for item in asked]
    picture.draw_top_down(
        out, replace(view, shown=shown, title=f'What the robot remembers of {name}')
    )


def _shown(item: Asked) -> Shown:
    example = item.query.examples[0] if item.query.examples else None
    crop = None
    if example is not None and example.roi is not None:
        x, y, width, height = example.roi
        crop = np.ascontiguousarray(example.image[y : y + height, x : x + width])
    is_point = item.query.region is not None
    return Shown(
        item.title,
        item.answer,
        asked_at=item.place if is_point else None,
        truth=None if is_point else item.place,
        example=crop,
        note=f'{item.error:.2f} m from the truth' if np.isfinite(item.error) else '',
        line=item.query.type == QueryType.DISTANCE,
    )
