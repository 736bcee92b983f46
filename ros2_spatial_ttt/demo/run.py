# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The command ``spatial-ttt demo``: node, recording over DDS, questions, table, picture."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ros2_spatial_ttt.config import MemoryConfig, from_flat
from ros2_spatial_ttt.demo import things
from ros2_spatial_ttt.demo.interview import interview, shown, table
from ros2_spatial_ttt.demo.session import LATE_S, node_parameters
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.replay import options, picture
from ros2_spatial_ttt.replay.bag import Bag
from ros2_spatial_ttt.replay.run import map_view
from ros2_spatial_ttt.resources import share_directory
from ros2_spatial_ttt.ros.conversions import stamp_to_ns
from ros2_spatial_ttt.types import Frame

__all__ = ['add_arguments', 'run']

DEMO_BAG = Path('data', 'demo_room')
SNAPSHOT = 'demo'
PICTURE = 'demo.png'
# Frames over DDS per second of real time: faster than most recordings, slower than the node.
FRAMES_PER_S, TOP_RATE = 10.0, 10.0
WAIT_S = 60.0
# Seconds of real time in which the node ends its last, partial chunk.
FLUSH_S = 4.0
MAX_FRAMES = 150


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``spatial-ttt demo``."""
    parser.add_argument(
        '--bag', type=Path, metavar='DIR', help='a posed RGB-D rosbag2 (default data/demo_room)'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('out/demo'),
        metavar='DIR',
        help='where picture and log go (default out/demo)',
    )
    parser.add_argument(
        '--rate',
        type=float,
        default=0.0,
        metavar='R',
        help='speed of playing (default: about 10 frames per second)',
    )
    parser.add_argument(
        '--model', default=MemoryConfig().model, metavar='NAME', help='model, or a path to one'
    )


def run(args: argparse.Namespace) -> int:
    """Carry out ``spatial-ttt demo``; return 1 when the node does not end cleanly."""
    if args.rate < 0:
        raise ConfigError(f'--rate: expected more than 0, got {args.rate}')
    picture.require_matplotlib()
    # ROS 2 is imported before anything is printed: where its wheels are used, the first import
    # starts the program anew to set the library path.
    from ros2_spatial_ttt.ros.session import NodeSession

    path = args.bag or share_directory() / DEMO_BAG
    out = options.check_folder(args.out, '--out')
    with Bag(path) as bag, tempfile.TemporaryDirectory() as folder:
        frames = _some_frames(bag)
        parameters, words = node_parameters(bag, directory=Path(folder))
        parameters['memory']['model'] = args.model
        print(f'1/4  starting the node; its log is {out / "node.log"}')
        with NodeSession(out, parameters, options=words) as session:
            session.bring_up()
            _play(bag, session, frames[-1].stamp_ns, rate=args.rate or _suitable_rate(bag))
            print('3/4  asking over the service')
            asked = interview(session.ask, frames, things.read_truth(path))
            print(f'\n{table(asked)}\n')
            memory = SpatialMemory(from_flat(MemoryConfig, {'model': args.model}))
            memory.load(session.save(SNAPSHOT))
            code = session.stop()
    print(f'4/4  the node ended with code {code}; drawing what its snapshot holds')
    view = map_view(
        memory,
        [frame.map_T_camera[:3, 3] for frame in frames],
        tile_m=memory.config.tiles.size_m,
    )
    title = f'What the robot remembers of {path.resolve().name}'
    view = replace(view, title=title, shown=[shown(item) for item in asked])
    picture.draw_top_down(out / PICTURE, view)
    right = sum(item.is_right for item in asked)
    print(f'     {right} of {len(asked)} verdicts right; picture: {out / PICTURE}')
    return 0 if code == 0 else 1


def _some_frames(bag: Bag) -> list[Frame]:
    """Return evenly spaced frames of the recording, few enough to keep."""
    step = max(1, bag.frame_count // MAX_FRAMES)
    frames = [frame for index, frame in enumerate(bag.frames()) if index % step == 0]
    if not frames:
        raise ConfigError(f'{bag.path} gives no complete frame; refused: {dict(bag.refused)}')
    return frames


def _suitable_rate(bag: Bag) -> float:
    return float(np.clip(FRAMES_PER_S * bag.duration_s / bag.frame_count, 1.0, TOP_RATE))


def _play(bag: Bag, session: Any, last_ns: int, *, rate: float) -> None:
    """Play the recording and wait until the node has taken all of it."""
    from ros2_spatial_ttt.replay.publish import Player

    count = bag.frame_count
    print(f'2/4  playing {count} frames of {bag.path} over DDS, {rate:.1f} × as recorded')
    player = Player(bag, session.node, warn=lambda sentence: print(f'     {sentence}'))
    names = {bag.topics.colour, bag.topics.info, bag.topics.depth, bag.topics.pose} - {''}
    if not player.wait_for_subscribers(WAIT_S, topics=names):
        raise ConfigError(f'the node did not subscribe all of {sorted(names)} in {WAIT_S:g} s')
    player.play(rate=rate)

    def all_came() -> bool:
        status = session.status
        return status is not None and status.frames_received >= count and not status.queue_length

    if not player.run_clock(all_came, rate=1.0, timeout_s=WAIT_S):
        print(f'     not all frames came within {WAIT_S:g} s; going on with what is there')
    # The last, partial chunk is written when the node has waited long enough for the rest of it.
    player.run_clock(
        lambda: stamp_to_ns(session.status.newest_stamp) >= last_ns,
        rate=LATE_S,
        timeout_s=FLUSH_S,
    )
    _print_status(session.status, count)


def _print_status(status: Any, count: int) -> None:
    counts = (int(value) for value in status.refused_counts)
    refused = {k: v for k, v in zip(status.refused_reasons, counts, strict=True) if v}
    print(
        f'     {status.frames_accepted} of {count} frames remembered; '
        f'{status.state_bytes / 1e6:.2f} MB, update p50 {status.update_p50_ms:.0f} ms; '
        f'refused: {refused or "none"}'
    )
