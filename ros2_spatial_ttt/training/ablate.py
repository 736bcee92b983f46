# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
r"""``spatial-ttt ablate``: what each part is worth, by taking it out.

spatial-ttt ablate --of memory --model nano --out out/ablate --homes 3 --minutes 3
spatial-ttt ablate --of network --config config/train/nano_memory.yaml --out out/ablate \
    --start out/seeing/last.safetensors --clips out/clips --steps 100 --homes 3

'memory' runs the exam with one parameter changed at a time. 'network' trains the blocks anew
without each part, from the same start, and compares the loss on homes never trained on. Run the
same command again after an interruption: what is finished is not done again.
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
from ros2_spatial_ttt.exam.report import markdown_table
from ros2_spatial_ttt.exam.results import write_text
from ros2_spatial_ttt.sim.world import TRAIN_SEEDS
from ros2_spatial_ttt.training.machine import require_writable
from ros2_spatial_ttt.training.settings import TrainConfig, load_config

__all__ = ['MEMORY', 'NETWORK', 'add_arguments', 'run']

# Infinite errors are texts in JSON.
Scores = dict[str, float | str]

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
    'rule curvature': {'update_rule': 'curvature'},
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
# The field as a whole is judged in the run without a change: by what is known without its weights,
# and by a window of frames alone. Variant: prefix of its scores there.
WITHOUT_FIELD = {'no field': 'control.reset.', 'window instead': 'baseline.window.'}
WHOLE_SYSTEMS, SYSTEMS = 'memory,window,reset', 'memory'
LOSSES = ('loss', 'names', 'offset', 'things_right', 'background_right', 'surprise', 'scene')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt ablate``."""
    parser.add_argument('--of', choices=('memory', 'network'), required=True)
    parser.add_argument('--out', type=Path, required=True, help='results; those there are kept')
    parser.add_argument('--only', metavar='A,B', default='', help='some of the variants')
    parser.add_argument('--model', default='nano', help='memory: the model under exam')
    parser.add_argument(
        '--homes', type=int, default=3, help='homes examined or looked at, from seed 0 on (3)'
    )
    parser.add_argument('--minutes', type=float, default=3.0, help='memory: of each tour')
    parser.add_argument('--config', type=Path, help="network: a config of the stage 'memory'")
    parser.add_argument('--start', type=Path, help='network: checkpoint of the stage before')
    parser.add_argument('--clips', type=Path, default=Path('out/clips'), help='rendered homes')
    parser.add_argument('--steps', type=int, default=100, help='network: of each training')


def run(args: argparse.Namespace) -> int:
    """Run every variant that has no result yet; print a table and write ``ablation.json``.

    Raises:
        ConfigError: an option, config or folder that cannot be used, or a command that failed.
    """
    variants: dict[str, Any] = MEMORY if args.of == 'memory' else NETWORK
    chosen = [name.strip() for name in args.only.split(',') if name.strip()] or list(variants)
    unknown = sorted(set(chosen) - variants.keys())
    if unknown:
        raise ConfigError(f'--only: {unknown} unknown; expected some of {list(variants)}')
    if args.of == 'network' and (args.config is None or args.start is None):
        raise ConfigError('--of network needs --config and --start')
    if args.homes < 1 or args.steps < 1:
        raise ConfigError(
            f'--homes, --steps: expected at least 1 each, got {args.homes} and {args.steps}'
        )
    require_writable(args.out, '--out')
    if args.of == 'network':
        _require_memory(args.config)
    found: dict[str, Scores] = {}
    for name in chosen:
        print(f'{name} …', flush=True)
        folder = args.out / args.of / name.replace(' ', '_')
        folder.mkdir(parents=True, exist_ok=True)
        if args.of == 'memory':
            found |= _examined(folder, name, args)
        else:
            found[name] = _trained(folder, NETWORK[name], args)
    write_text(args.out / args.of / 'ablation.json', json.dumps(found, indent=1) + '\n')
    table = _table(found, SCORES if args.of == 'memory' else LOSSES)
    write_text(args.out / args.of / 'ablation.md', table + '\n')
    print(table)
    return 0


def _require_memory(path: Path) -> None:
    """Raise ConfigError unless a file is a config of the stage that trains the blocks."""
    stage = load_config(path).stage
    if stage != 'memory':
        raise ConfigError(
            f"--config {path}: stage: expected 'memory', which trains the blocks, got {stage!r}; "
            'give one such as config/train/nano_memory.yaml'
        )


def _examined(folder: Path, name: str, args: argparse.Namespace) -> dict[str, Scores]:
    """Return the scores of the exam, on train seeds: exam seeds are for publishing."""
    whole = not MEMORY[name]
    words = ['exam', '--set', 'all', '--perception', 'model', '--model', args.model]
    words += ['--first-seed', str(TRAIN_SEEDS[0]), '--homes', str(args.homes)]
    words += ['--minutes', str(args.minutes), '--systems', WHOLE_SYSTEMS if whole else SYSTEMS]
    # The exam keeps finished homes by options and model, so this is quick where they are there.
    result = folder / 'exam.json'
    _command([*words, *MEMORY[name], '--json', str(result), '--out', str(folder)])
    scores = json.loads(result.read_text(encoding='utf-8'))
    prefixes = {name: '', **(WITHOUT_FIELD if whole else {})}
    return {
        label: {key: scores[prefix + key] for key in SCORES if prefix + key in scores}
        for label, prefix in prefixes.items()
    }


def _trained(folder: Path, blocks: dict[str, Any], args: argparse.Namespace) -> Scores:
    """Return the loss and accuracy on held-out homes after the steps."""
    done = _held_out(folder, args.steps)
    if done:
        return done
    values = yaml.safe_load(args.config.read_text(encoding='utf-8')) or {}
    values |= {
        'steps': args.steps,
        'warmup': min(values.get('warmup', TrainConfig.warmup), args.steps // 4),
        'check_every': args.steps,
        'check_homes': args.homes,
        'backbone': {**values.get('backbone', {}), **blocks},
    }
    config = folder / 'config.yaml'
    write_text(config, yaml.safe_dump(values))
    words = ['train', '--config', str(config), '--out', str(folder), '--start', str(args.start)]
    _command([*words, '--clips', str(args.clips)])
    return _held_out(folder, args.steps)


def _held_out(folder: Path, step: int) -> Scores:
    """Return what the log says of held-out homes after a step; nothing where it says nothing."""
    log = folder / 'log.jsonl'
    lines = log.read_text(encoding='utf-8').splitlines() if log.is_file() else []
    checks = [line for line in map(json.loads, lines) if line['kind'] == 'held_out']
    last = next((line for line in reversed(checks) if line['step'] == step), {})
    return {key: last[key] for key in LOSSES if key in last}


def _command(words: list[str]) -> None:
    """Run a command of ``spatial-ttt`` in a process of its own."""
    done = subprocess.run([sys.executable, '-m', 'ros2_spatial_ttt.cli', *words], check=False)
    if done.returncode:
        raise ConfigError(f'spatial-ttt {" ".join(words)} ended with {done.returncode}')


def _table(found: dict[str, Scores], columns: tuple[str, ...]) -> str:
    """Return a Markdown table of the variants; a dash where there is no number."""
    rows = [[name, *(_cell(scores.get(key)) for key in columns)] for name, scores in found.items()]
    return markdown_table(['variant', *columns], rows)


def _cell(value: float | str | None) -> str:
    return '–' if value is None else f'{float(value):.4g}'
