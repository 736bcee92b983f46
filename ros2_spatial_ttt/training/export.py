# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``spatial-ttt export``: a model folder that every runtime reads.

spatial-ttt export --checkpoint out/nano/last.safetensors --name nano --out models/nano
spatial-ttt export --out models/untrained
spatial-ttt export --check models/nano

Writes update.onnx, embed.onnx, {appearance,geometry}_{update,read}.onnx, omega.safetensors,
weights.safetensors, parity.safetensors, state.safetensors (with a backbone) and manifest.yaml;
``train-second-look`` adds second_look.onnx and its weights. All state is explicit: inputs
``state/...``, outputs ``next_state/...``.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.runtime.ort import OrtRuntime
from ros2_spatial_ttt.runtime.parity import worst
from ros2_spatial_ttt.training.artefact import (
    Artefact,
    frequencies,
    require_replaceable,
    write_artefact,
)
from ros2_spatial_ttt.training.backbone import DECAY_MAX, STEPS, HybridBackbone
from ros2_spatial_ttt.training.calibration import found_score, whiten
from ros2_spatial_ttt.training.checkpoint import load_checkpoint
from ros2_spatial_ttt.training.chunk_encoder import ChunkEncoder, folded
from ros2_spatial_ttt.training.encoder import PretrainedTrunk, put_encoder
from ros2_spatial_ttt.training.graphs import FieldConfig, network_graphs, untrained_graphs
from ros2_spatial_ttt.training.layers import UPDATE_RULES
from ros2_spatial_ttt.training.model import WINDOW, SpatialNet
from ros2_spatial_ttt.training.onnx_functions import OPSET
from ros2_spatial_ttt.training.scenes import SceneOptions
from ros2_spatial_ttt.training.settings import TrainConfig
from ros2_spatial_ttt.training.untrained import (
    EncoderConfig,
    UntrainedBackbone,
    seeded_backbone,
)

__all__ = [
    'Calibration',
    'add_arguments',
    'export_network',
    'export_untrained',
    'load_calibration',
    'network_of',
    'run',
]

# Seeds of the rendered rooms for calibration; the exam and the tests use others.
CALIBRATION_SEEDS = (3001, 3002, 3003)
CONFIDENCE_SEEDS = (3011, 3012, 3013)


@dataclass(frozen=True)
class Calibration:
    """What is measured on a trained model after its training.

    Attributes:
        found_score: (half, slope) of the logistic from read score to confidence of an example.
        detector: constants of ``memory/detect.py`` and of how names are read.
        worst_depth: expected relative error at which a predicted depth makes no sample any more.
        free_margin_m: free space is sampled up to this far in front of a surface.
        depth_max_m: deeper measurements are ignored.
        seed: of the key frequencies.
    """

    found_score: tuple[float, float] = (0.5, 12.0)
    detector: dict[str, float] = field(default_factory=dict)
    worst_depth: float = 0.15
    free_margin_m: float = 0.25
    depth_max_m: float = 8.0
    seed: int = 20260101


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt export``."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--out', type=Path, help='model folder to write')
    what.add_argument(
        '--check', type=Path, metavar='FOLDER', help='compare a model on this machine instead'
    )
    parser.add_argument('--name', default='untrained', help='name of the model')
    parser.add_argument('--checkpoint', type=Path, help='of spatial-ttt train; none = untrained')
    parser.add_argument('--calibration', type=Path, help='YAML file of measured constants')
    parser.add_argument(
        '--precision', choices=('fp32', 'fp16'), default='fp32', help='of products of tokens'
    )
    parser.add_argument('--opset', type=int, default=OPSET, help=f'ONNX opset, {OPSET}')
    parser.add_argument(
        '--seed', type=int, default=EncoderConfig().seed, help='of the untrained model'
    )


def run(args: argparse.Namespace) -> int:
    """Export a model to ``args.out``, or check one."""
    if args.check:
        return _check(args.check)
    if args.opset != OPSET:
        raise ConfigError(
            f'--opset {args.opset}: expected {OPSET}, the one that ONNX Runtime and TensorRT 10 '
            'both take and that the parity tests cover; leave the option out'
        )
    require_replaceable(args.out)  # before minutes of work
    if args.checkpoint:
        net, header = network_of(args.checkpoint)
        calibration = load_calibration(args.calibration) if args.calibration else Calibration()
        print('exporting graphs …', flush=True)
        export_network(
            args.out,
            args.name,
            net,
            calibration,
            half=args.precision == 'fp16',
            provenance=_provenance(header),
        )
    elif args.precision == 'fp16':
        raise ConfigError('--precision fp16: needs --checkpoint; the untrained model is fp32 only')
    else:
        _run_untrained(args)
    size = sum(path.stat().st_size for path in args.out.iterdir())
    print(f'wrote {args.out} ({size / 1e6:.2f} MB)')
    return 0


def _check(folder: Path) -> int:
    """Print how a model's numbers on this machine compare with those stored; 1 if they differ."""
    runtime = OrtRuntime(load_manifest(folder), threads=1)
    errors = worst(runtime)
    print(f'largest errors of {folder}, over what is allowed:')
    for name, error in list(errors.items())[:5]:
        print(f'  {name}: {error:.2g}')
    wrong = [name for name, error in errors.items() if not error <= 1.0]
    if wrong:
        print(f'{len(wrong)} of {len(errors)} tensors differ; install the onnxruntime of ')
        print('requirements/constraints.txt, or export the model again on this machine')
    return 1 if wrong else 0


def _run_untrained(args: argparse.Namespace) -> None:
    config, field = EncoderConfig(seed=args.seed), FieldConfig()
    backbone = seeded_backbone(config)
    print(f'whitening on rendered rooms {CALIBRATION_SEEDS} …', flush=True)
    whiten(backbone, config, CALIBRATION_SEEDS)
    print('exporting graphs …', flush=True)
    export_untrained(args.out, args.name, config, field, backbone)
    print(f'calibrating confidence on rendered rooms {CONFIDENCE_SEEDS} …', flush=True)
    score = found_score(args.out.resolve(), CONFIDENCE_SEEDS)
    export_untrained(args.out, args.name, config, field, backbone, score)


def network_of(path: Path) -> tuple[SpatialNet, dict[str, Any]]:
    """Return the averaged network of a checkpoint, batch norms folded, and its header.

    Raises:
        ConfigError: the checkpoint is damaged or of another config.
    """
    tensors, header = load_checkpoint(path)
    prefix = 'average.'
    weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    config = _train_config(path, header['config'])
    labels = header.get('labels', list(config.model.labels))
    if tuple(labels) != config.model.labels:
        raise ConfigError(
            f'{path}: trained for {len(labels)} names ({", ".join(labels[:3])}, …), this version '
            f'has {len(config.model.labels)} ({", ".join(config.model.labels[:3])}, …); export it '
            'with the version of the package that trained it, or train again'
        )
    blocks = any(name.startswith('backbone.') for name in weights)
    if blocks and config.blocks.update_rule not in UPDATE_RULES:
        raise ConfigError(
            f'{path}: its blocks were trained with update_rule {config.blocks.update_rule!r}, '
            f'which is there to be compared in training alone; expected one of {UPDATE_RULES} for '
            'a robot: train the stage memory again with one of those'
        )
    net = SpatialNet(config.model, HybridBackbone(config.blocks) if blocks else None)
    if config.encoder:
        # Its weights come from the checkpoint; what it is made of, from where training had it.
        put_encoder(net, config.encoder)
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(
            f'{path}: its weights are not those of preset {config.preset!r} '
            f'({str(error).splitlines()[-1].strip()}); export it with the version of the package '
            'that trained it, or train again'
        ) from error
    folded(net.eval().requires_grad_(False))
    return net, header


def _train_config(path: Path, values: dict[str, Any]) -> TrainConfig:
    """Return what shapes the network of a run whose config had these values."""
    size = {name: values['scenes'][name] for name in ('width', 'height') if 'scenes' in values}
    try:
        return TrainConfig(
            preset=values.get('preset'),  # type: ignore[arg-type]  # checked there
            encoder=values.get('encoder', ''),
            scenes=SceneOptions(**size),
            backbone=values.get('backbone', {}),
        )
    except ConfigError as error:
        raise ConfigError(
            f'{path}: {error}; export it with the version of the package that trained it'
        ) from error


def load_calibration(path: Path) -> Calibration:
    """Return measured constants of a YAML file.

    Raises:
        ConfigError: no such file, no valid YAML or unknown names.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding='utf-8')) or {}
        if 'found_score' in values:
            half, slope = values['found_score']
            values['found_score'] = (float(half), float(slope))
        return Calibration(**values)
    except (OSError, yaml.YAMLError, TypeError, ValueError) as error:
        raise ConfigError(
            f'{path}: not a valid calibration ({error}); expected some of '
            f'{sorted(asdict(Calibration()))}'
        ) from error


def export_network(
    folder: Path,
    name: str,
    net: SpatialNet,
    calibration: Calibration,
    *,
    field: FieldConfig | None = None,
    half: bool = False,
    provenance: dict[str, Any] | None = None,
) -> None:
    """Write the model folder of a network whose batch norms are folded."""
    config, field = net.config, field or FieldConfig()
    encoder = ChunkEncoder(
        net,
        free_margin_m=calibration.free_margin_m,
        depth_max_m=calibration.depth_max_m,
        worst_depth=calibration.worst_depth,
    )
    state = {} if net.backbone is None else net.backbone.initial_state(1)
    manifest = {
        'name': name,
        'network': 'pretrained' if isinstance(net.trunk, PretrainedTrunk) else 'spatial',
        'image': {'width': config.image_width, 'height': config.image_height},
        'chunk_frames': config.chunk_frames,
        'grid': list(config.grid),
        'sample_grid': list(config.coarse_grid),
        'window': WINDOW,
        'embedding': config.appearance,
        'predicts_depth': True,
        'worst_depth': calibration.worst_depth,
        'depth_max_m': calibration.depth_max_m,
        'free_margin_m': calibration.free_margin_m,
        'labels': list(config.labels),
        'found_score': list(calibration.found_score),
        'detector': calibration.detector,
        'backbone': _plain(net.backbone),
        'provenance': provenance or {},
        'scores': {},
    }
    artefact = Artefact(
        graphs=network_graphs(encoder, field),
        weights=_arrays(net.state_dict()),
        omega=frequencies(field, calibration.seed),
        manifest=manifest,
        field=field,
        embedding=config.appearance,
        state=_arrays(state),
        half=half,
    )
    write_artefact(folder, artefact)


def export_untrained(
    folder: Path,
    name: str,
    config: EncoderConfig,
    field: FieldConfig,
    backbone: UntrainedBackbone,
    score: tuple[float, float] = (0.5, 12.0),
) -> None:
    """Write the model folder of random convolutions."""
    manifest = {
        'name': name,
        'network': 'untrained',
        'image': {'width': config.image_width, 'height': config.image_height},
        'chunk_frames': config.chunk_frames,
        'grid': list(config.grid),
        'sample_grid': list(config.grid),
        'window': WINDOW,
        'embedding': config.embedding,
        'predicts_depth': False,
        'depth_max_m': config.depth_max_m,
        'free_margin_m': config.free_margin_m,
        'labels': [],
        'found_score': list(score),
        'detector': {},
        'provenance': {
            'encoder': 'random convolutions, never trained',
            'seed': config.seed,
            'whitening': f'rendered rooms, seeds {list(CALIBRATION_SEEDS)}',
            'confidence': f'rendered rooms, seeds {list(CONFIDENCE_SEEDS)}',
        },
        'scores': {},
    }
    artefact = Artefact(
        graphs=untrained_graphs(config, field, backbone),
        weights=_arrays(backbone.state_dict()),
        omega=frequencies(field, config.seed),
        manifest=manifest,
        field=field,
        embedding=config.embedding,
    )
    write_artefact(folder, artefact)


def _provenance(header: dict[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint tells of its training, without folders of the machine."""
    told = {name: value for name, value in header.items() if name != 'state'}
    config = told['config']
    for name in ('start', 'encoder'):
        parts = Path(config.get(name, '')).parts
        config = {**config, name: '/'.join(parts[-2:])}
    told['config'] = config
    return told


def _plain(backbone: nn.Module | None) -> dict[str, Any]:
    if not isinstance(backbone, HybridBackbone):
        return {}
    config = backbone.config
    values = asdict(config) | {'step_max': 2.0 * STEPS[config.update_rule], 'decay_max': DECAY_MAX}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def _arrays(tensors: dict[str, Tensor]) -> dict[str, NDArray]:
    return {name: value.detach().contiguous().numpy() for name, value in tensors.items()}
