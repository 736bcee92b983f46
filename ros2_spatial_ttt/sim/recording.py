# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The command ``spatial-ttt simulate``: recordings of simulated homes and of the box room."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from tqdm import tqdm

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.room.room_recording import (
    TOPICS,
    sensor_depth,
    simulate,
    truth_of,
    write_recording,
)
from ros2_spatial_ttt.sim.sensor import PRESETS

__all__ = [
    'TOPICS',
    'add_arguments',
    'run',
    'sensor_depth',
    'simulate',
    'truth_of',
    'write_recording',
]

# Options that only one of the worlds has, with the values of those that are not given.
ROOM = {'frames': 80, 'width': 640}
HOME = {
    'minutes': 2.0,
    'size': '640x480',
    'rooms': None,
    'sensor': 'clean',
    'second_camera': False,
    'masks': False,
    'shadows': False,
    'sheets': False,
    'homes': 12,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``spatial-ttt simulate``."""
    parser.add_argument('--out', type=Path, required=True, help='folder of the new rosbag2')
    parser.add_argument(
        '--world',
        choices=('home', 'room'),
        default='home',
        help='a furnished home (needs MuJoCo and a renderer), or the room made of boxes, which '
        'needs numpy only (default home)',
    )
    parser.add_argument('--seed', type=int, default=0, help='world, tour, pictures (default 0)')
    parser.add_argument(
        '--rate', type=float, default=2.0, help='frames per second of each camera (default 2)'
    )
    parser.add_argument(
        '--storage', choices=('mcap', 'sqlite3'), default='mcap', help='file format (default mcap)'
    )
    parser.add_argument('--jpeg-quality', type=int, default=80, help='1..100 (default 80)')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace a recording that is already there'
    )
    _add_home_arguments(parser.add_argument_group('home'))
    _add_room_arguments(parser.add_argument_group('room'))


def _add_home_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--minutes', type=float, help='length of the tour (default 2)')
    group.add_argument('--size', metavar='WxH', help='of the pictures, px (default 640x480)')
    group.add_argument('--rooms', type=int, help='1..8 (default: as the seed says)')
    group.add_argument(
        '--sensor', choices=tuple(PRESETS), help='faults of camera and pose (default clean)'
    )
    flag = {'action': 'store_true', 'default': None}
    group.add_argument('--second-camera', help='one that looks to the side', **flag)
    group.add_argument('--masks', help='thing ids of every picture as 16-bit PNG', **flag)
    group.add_argument('--shadows', help='lamps throw shadows; slower', **flag)
    group.add_argument('--sheets', help='contact sheets of homes instead of a recording', **flag)
    group.add_argument('--homes', type=int, help='number of sheets (default 12)')


def _add_room_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--frames', type=int, help='number of frames (default 80)')
    group.add_argument('--width', type=int, help='px (default 640); the height is 3/4 of it')


def run(args: argparse.Namespace) -> int:
    """Carry out ``spatial-ttt simulate``.

    Raises:
        SpatialTTTError: an option is out of range, the folder exists, the disk is full, or
            MuJoCo or a renderer is missing.
    """
    own, others = (ROOM, HOME) if args.world == 'room' else (HOME, ROOM)
    foreign = [name for name in others if getattr(args, name) is not None]
    if foreign:
        option = '--' + foreign[0].replace('_', '-')
        raise ConfigError(f'{option} is not for --world {args.world}; leave it out')
    for name, value in own.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    if args.world == 'home' and args.sheets:
        from ros2_spatial_ttt.sim import sheet

        return sheet.run(args)
    if not args.rate > 0 or not 1 <= args.jpeg_quality <= 100:
        raise ConfigError('simulate: expected --rate > 0 and --jpeg-quality 1..100')
    if args.out.exists() and not args.overwrite:
        raise ConfigError(f'{args.out} exists; give --overwrite to replace it')
    return _run_room(args) if args.world == 'room' else _run_home(args)


def _run_room(args: argparse.Namespace) -> int:
    if args.frames < 1 or args.width < 32 or args.seed < 0:
        raise ConfigError('simulate: expected --frames ≥ 1, --width ≥ 32 and --seed ≥ 0')
    size_mb = simulate(
        args.out,
        seed=args.seed,
        count=args.frames,
        width=args.width,
        rate_hz=args.rate,
        storage=args.storage,
        jpeg_quality=args.jpeg_quality,
    )
    print(f'{args.out}: {args.frames} frames of room {args.seed}, {size_mb:.1f} MB')
    return 0


def _run_home(args: argparse.Namespace) -> int:
    from ros2_spatial_ttt.sim.home import make_home
    from ros2_spatial_ttt.sim.home_recording import record_home
    from ros2_spatial_ttt.sim.paint.engine import require_renderer
    from ros2_spatial_ttt.sim.stream import resized
    from ros2_spatial_ttt.sim.tour import FRONT, SIDE, TourOptions, make_tour

    require_renderer()
    cameras = (FRONT, SIDE) if args.second_camera else (FRONT,)
    home = make_home(args.seed, rooms=args.rooms)
    tour = make_tour(home, TourOptions(args.minutes, args.rate, cameras=cameras))
    tour = resized(tour, _size(args.size))
    sensor = PRESETS[args.sensor]
    total = len(tour) * len(cameras)
    with tqdm(total=total, desc='pictures', disable=None) as bar:
        count = record_home(
            args.out,
            home,
            tour,
            sensor=sensor,
            storage=args.storage,
            jpeg_quality=args.jpeg_quality,
            masks=args.masks,
            shadows=args.shadows,
            tick=bar.update,
        )
    size_mb = sum(p.stat().st_size for p in args.out.rglob('*') if p.is_file()) / 1e6
    print(
        f'{args.out}: {count} pictures of home {args.seed} ({len(home.rooms)} rooms, '
        f'{len(home.things)} things, {len(tour.changes)} changes), {size_mb:.1f} MB'
    )
    return 0


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    if match is None:
        raise ConfigError(f'--size: expected WIDTHxHEIGHT such as 640x480, got {text!r}')
    return int(match[1]), int(match[2])
