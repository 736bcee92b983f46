# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Options that the commands on recordings share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from ros2_spatial_ttt.config import MemoryConfig, to_flat
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.replay.bag import BagOptions, Topics
from ros2_spatial_ttt.ros.settings import Settings, resolve

__all__ = [
    'add_bag_arguments',
    'add_memory_arguments',
    'bag_options',
    'check_folder',
    'parse_parameters',
    'settings',
]


def add_bag_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which topics of a recording are used."""
    group = parser.add_argument_group('topics', 'found by themselves where not given')
    group.add_argument('--colour-topic', default='', metavar='T', help='Image or CompressedImage')
    group.add_argument('--depth-topic', default='', metavar='T', help='depth aligned to colour')
    group.add_argument(
        '--info-topic', default='', metavar='T', help='CameraInfo of the colour images'
    )
    group.add_argument('--pose-topic', default='', metavar='T', help='Odometry or PoseStamped')
    group.add_argument(
        '--pose-source',
        default='auto',
        choices=('auto', 'odometry', 'pose_stamped', 'tf'),
        help='where the pose of the camera comes from (default auto)',
    )
    group.add_argument('--map-frame', default='', metavar='F', help='frame the poses must be in')
    group.add_argument(
        '--no-depth', action='store_true', help='use the recording without its depth'
    )


def add_memory_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare model, runtime and parameters of the memory."""
    parser.add_argument('--model', metavar='NAME', help='model in models/, or a path to one')
    parser.add_argument('--backend', metavar='NAME', help='auto, ort, tensorrt or other')
    parser.add_argument(
        '--param',
        action='append',
        default=[],
        metavar='NAME=VALUE',
        help='any parameter of config/memory.yaml, with or without "memory."; may be repeated',
    )


def parse_parameters(items: list[str]) -> dict[str, Any]:
    """Return {parameter of the node: value} of ``NAME=VALUE`` items; values are read as YAML.

    Raises:
        ConfigError: an item is not of that form.
    """
    values: dict[str, Any] = {}
    of_memory = to_flat(MemoryConfig())
    for item in items:
        name, equals, text = item.partition('=')
        if not name or not equals:
            raise ConfigError(f'--param: expected NAME=VALUE, got {item!r}')
        try:
            value = yaml.safe_load(text) if text else ''
        except yaml.YAMLError as error:
            raise ConfigError(f'--param {name}: {text!r} is not a value: {error}') from error
        values[f'memory.{name}' if name in of_memory else name] = value
    return values


def settings(args: argparse.Namespace) -> Settings:
    """Return the resolved parameters of the command line; ConfigError lists what is wrong."""
    values = parse_parameters(args.param)
    for name in ('model', 'backend'):
        if getattr(args, name):
            values[f'memory.{name}'] = getattr(args, name)
    return resolve(values)


def bag_options(args: argparse.Namespace, resolved: Settings) -> BagOptions:
    """Return how the recording is read: topics of the command line, tolerances of the node."""
    return BagOptions(
        camera=resolved.node.cameras[0],
        topics=Topics(
            args.colour_topic, args.info_topic, args.depth_topic, args.pose_source, args.pose_topic
        ),
        map_frame=args.map_frame,
        use_depth=not args.no_depth,
        tolerance_s=resolved.node.sync.tolerance_s,
        wait_s=resolved.node.sync.wait_s,
        max_gap_s=resolved.node.pose.max_age_s,
    )


def check_folder(path: Path, option: str) -> Path:
    """Return ``path`` as a folder, made when needed; ConfigError where it cannot be one."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f'{option} {path} cannot be made a folder: {error.strerror}') from error
    return path
