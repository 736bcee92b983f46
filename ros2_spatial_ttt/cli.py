# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The command ``spatial-ttt``. Only the module of the command asked for is imported."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from ros2_spatial_ttt.errors import SpatialTTTError

__all__ = ['COMMANDS', 'main']

# Command: (module with add_arguments(parser) and run(args) -> exit code, one line of help).
COMMANDS = {
    'replay': ('ros2_spatial_ttt.replay.run', 'feed a recording to a memory, or play it over DDS'),
    'demo': (
        'ros2_spatial_ttt.demo.run',
        'start the node, play a recording, ask questions, draw a map',
    ),
    'simulate': ('ros2_spatial_ttt.sim.recording', 'write a recording of a simulated home'),
    'exam': ('ros2_spatial_ttt.exam.run', 'judge a memory'),
    'bench': ('ros2_spatial_ttt.bench.run', 'measure speed and memory use'),
    'train': ('ros2_spatial_ttt.training.train', 'train the network (needs PyTorch)'),
    'ablate': ('ros2_spatial_ttt.training.ablate', 'take parts out and see what they are worth'),
    'export': ('ros2_spatial_ttt.training.export', 'write a model folder (needs PyTorch)'),
    'build-engine': ('ros2_spatial_ttt.engine.command', 'compile a model for TensorRT'),
    'tune': (
        'ros2_spatial_ttt.training.tune',
        'fit what detections of a model are worth, on simulated homes',
    ),
    'tune-examples': (
        'ros2_spatial_ttt.training.tune_examples',
        'fit what places found by an example picture are worth, in rendered rooms',
    ),
    'train-second-look': (
        'ros2_spatial_ttt.training.train_second_look',
        'teach a model to look again at what it detects (needs PyTorch)',
    ),
    'params': ('ros2_spatial_ttt.replay.parameters', 'print every parameter of the node as YAML'),
}
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 2 after a sentence about what was wrong, 130 if interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = '--debug' in words
    words = [word for word in words if word != '--debug']
    parser = argparse.ArgumentParser(
        prog='spatial-ttt',
        description='A streaming spatial memory of fixed size for ROS 2 robots.',
    )
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    commands = parser.add_subparsers(dest='command', metavar='command', required=True)
    chosen = next((word for word in words if word in COMMANDS), '')
    module: Any = None
    try:
        for name, (path, sentence) in COMMANDS.items():
            command = commands.add_parser(
                name, help=sentence, description=f'{sentence[0].upper()}{sentence[1:]}.'
            )
            if name == chosen:
                module = importlib.import_module(path)
                module.add_arguments(command)
        args = parser.parse_args(words)
        return int(module.run(args))
    except SpatialTTTError as error:
        if debug:
            raise
        print(f'spatial-ttt {chosen}: {error}', file=sys.stderr)
        return 2
    except ImportError as error:
        if debug:
            raise
        print(f'spatial-ttt {chosen}: {error}; {_remedy(error)}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if debug:
            raise
        print('interrupted', file=sys.stderr)
        return INTERRUPTED


def _remedy(error: ImportError) -> str:
    """Return how to install what an import misses."""
    missing = (error.name or '').partition('.')[0]
    if missing in ('rclpy', 'spatial_ttt', 'lifecycle_msgs', 'rosgraph_msgs', 'sensor_msgs'):
        return 'build the package and source its install/setup.bash (make build, scripts/env.sh)'
    extra = {
        'torch': 'train',
        'onnx': 'train',
        'onnxscript': 'train',
        'tensorboard': 'train',
        'matplotlib': 'viz',
        'psutil': 'exam',
        'scipy': 'sim',
        'mujoco': 'sim',
        'ray': 'ray',
    }
    if missing in extra:
        return f'pip install "ros2-spatial-ttt[{extra[missing]}]"'
    return 'reinstall the package, or see the traceback with --debug'


if __name__ == '__main__':
    sys.exit(main())
