# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
r"""``spatial-ttt ablate``: what each part is worth, by taking it out.

spatial-ttt ablate --of memory --model nano --out out/ablate
spatial-ttt ablate --of network --config config/train/nano_memory.yaml --out out/ablate \
    --start out/seeing/last.safetensors --clips out/clips --steps 300

'memory' runs the exam with one parameter changed at a time. 'network' trains the blocks anew
without each part, from the same start, and compares the loss on homes never trained on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.world import TRAIN_SEEDS

__all__ = ['MEMORY', 'NETWORK', 'add_arguments', 'run']

# Options of the exam.
MEMORY: dict[str, tuple[str, ...]] = {
    'as shipped': (),
    'rule gd': ('--param', 'votes.rule=gd'),
    'rule hebbian': ('--param', 'votes.rule=hebbian'),
    'rule muon': ('--param', 'votes.rule=muon'),
    'D = 32': ('--param', 'votes.features=32'),
    'D = 64': ('--param', 'votes.features=64'),
    'D = 256': ('--param', 'votes.features=256'),
    'no evidence': ('--param', 'read.confirm=false'),
    'no depth': ('--no-depth',),
    'pose noise 2 cm': ('--pose-noise', '0.02'),
    'pose noise 5 cm': ('--pose-noise', '0.05'),
    'realistic sensor': ('--sensor', 'realistic'),
}
# Changes to the blocks (``BackboneConfig``).
NETWORK: dict[str, dict[str, Any]] = {
    'as shipped': {},
    'no convolution': {'use_conv': False},
    'no TTT branch': {'use_ttt': False},
    'no window': {'use_window': False},
    'no anchors': {'use_anchors': False},
    'rule gd': {'update_rule': 'gd'},
    'rule muon': {'update_rule': 'muon'},
}
SCORES = (
    'locate.recall_at_0.5m',
    'locate.precision',
    'locate.median_error_m',
    'count.mra',
    'verdict.macro_f1',
    'vsi.overall',
    'state_bytes',
)
# The field itself is judged in the same run: what a window alone and a random field know.
SYSTEMS = 'memory,window,reset'
LOSSES = ('loss', 'names', 'offset', 'things_right', 'surprise', 'scene')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt ablate``."""
    parser.add_argument('--of', choices=('memory', 'network'), required=True)
    parser.add_argument('--out', type=Path, required=True, help='results; those there are kept')
    parser.add_argument('--only', metavar='A,B', default='', help='some of the variants')
    parser.add_argument('--model', default='nano', help='memory: the model under exam')
    parser.add_argument('--homes', type=int, default=3, help='memory: train homes in the exam')
    parser.add_argument('--minutes', type=float, default=5.0, help='memory: of each tour')
    parser.add_argument('--config', type=Path, help="network: a config of the stage 'memory'")
    parser.add_argument('--start', type=Path, help='network: checkpoint of the stage before')
    parser.add_argument('--clips', type=Path, default=Path('out/clips'), help='rendered homes')
    parser.add_argument('--steps', type=int, default=300, help='network: of each training')


def run(args: argparse.Namespace) -> int:
    """Run every variant that has no result yet; print a table and write ``ablation.json``."""
    variants: dict[str, Any] = MEMORY if args.of == 'memory' else NETWORK
    chosen = [name.strip() for name in args.only.split(',') if name.strip()] or list(variants)
    unknown = sorted(set(chosen) - variants.keys())
    if unknown:
        raise ConfigError(f'--only: {unknown} unknown; expected some of {list(variants)}')
    if args.of == 'network' and (args.config is None or args.start is None):
        raise ConfigError('--of network needs --config and --start')
    found = {}
    for name in chosen:
        print(f'{name} …', flush=True)
        folder = args.out / args.of / name.replace(' ', '_')
        folder.mkdir(parents=True, exist_ok=True)
        if args.of == 'memory':
            found[name] = _examined(folder, MEMORY[name], args)
        else:
            found[name] = _trained(folder, NETWORK[name], args)
    (args.out / args.of / 'ablation.json').write_text(json.dumps(found, indent=1))
    print(_table(found, SCORES if args.of == 'memory' else LOSSES))
    return 0


def _examined(
    folder: Path, options: tuple[str, ...], args: argparse.Namespace
) -> dict[str, float]:
    """Return the scores of the exam, on train seeds: exam seeds are for publishing."""
    result = folder / 'exam.json'
    if not result.is_file():
        words = ['exam', '--set', 'all', '--perception', 'model']
        words += ['--model', args.model, '--first-seed', str(TRAIN_SEEDS[0])]
        words += ['--homes', str(args.homes), '--minutes', str(args.minutes)]
        words += ['--systems', SYSTEMS, '--json', str(result), '--out', str(folder)]
        _command([*words, *options])
    return dict(json.loads(result.read_text()))


def _trained(folder: Path, blocks: dict[str, Any], args: argparse.Namespace) -> dict[str, float]:
    """Return the loss and accuracy on held-out homes after the steps."""
    values = yaml.safe_load(args.config.read_text(encoding='utf-8')) or {}
    values |= {'steps': args.steps, 'check_every': args.steps, 'backbone': blocks}
    config = folder / 'config.yaml'
    config.write_text(yaml.safe_dump(values))
    words = ['train', '--config', str(config), '--out', str(folder)]
    _command([*words, '--start', str(args.start), '--clips', str(args.clips)])
    lines = [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]
    checks = [line['held_out'] for line in lines if 'held_out' in line]
    if not checks:
        raise ConfigError(f'{folder}/log.jsonl: no held-out check; set check_homes in the config')
    return dict(checks[-1])


def _command(words: list[str]) -> None:
    """Run a command of ``spatial-ttt`` in a process of its own."""
    done = subprocess.run([sys.executable, '-m', 'ros2_spatial_ttt.cli', *words], check=False)
    if done.returncode:
        raise ConfigError(f'spatial-ttt {" ".join(words)} ended with {done.returncode}')


def _table(found: dict[str, dict[str, float]], columns: tuple[str, ...]) -> str:
    """Return a Markdown table of the variants."""
    lines = [f'| variant | {" | ".join(columns)} |', '|---' * (len(columns) + 1) + '|']
    for name, scores in found.items():
        cells = [f'{scores[key]:.4g}' if key in scores else '' for key in columns]
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return '\n'.join(lines)
