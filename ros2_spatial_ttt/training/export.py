# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``spatial-ttt export``: a model folder that every runtime reads.

Writes encode.onnx, embed.onnx, {appearance,geometry}_{update,read}.onnx, omega.safetensors,
weights.safetensors and manifest.yaml. All state is explicit: inputs ``state/...``, outputs
``next_state/...``.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import shutil
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
import yaml
from safetensors.numpy import save_file
from torch import nn

from ros2_spatial_ttt.memory.field import GEOMETRY_CHANNELS
from ros2_spatial_ttt.runtime.base import ARTEFACT_VERSION
from ros2_spatial_ttt.training.calibration import found_score, whiten
from ros2_spatial_ttt.training.layers import FieldRead, FieldRule, FieldUpdate
from ros2_spatial_ttt.training.onnx_functions import OPSET, CustomPart, export_graph
from ros2_spatial_ttt.training.untrained import (
    WINDOW,
    EncoderConfig,
    ExampleEmbedder,
    FrameEncoder,
    UntrainedBackbone,
    field_frequencies,
    seeded_backbone,
)

__all__ = ['FieldConfig', 'add_arguments', 'export_model', 'run']

# Seeds of the rendered rooms for calibration; the exam and the tests use others.
CALIBRATION_SEEDS = (3001, 3002, 3003)
CONFIDENCE_SEEDS = (3011, 3012, 3013)


@dataclass(frozen=True)
class FieldConfig:
    """Sizes of the fields.

    Attributes:
        sectors: compass directions that looks at a surface are told apart by.
        appearance_features, geometry_features: D of each kind.
        appearance_scales_m, geometry_scales_m: kernel length scales.
        rule: constants of the update.
    """

    sectors: int = 12
    appearance_features: int = 128
    appearance_scales_m: tuple[float, ...] = (0.1, 0.2)
    geometry_features: int = 256
    geometry_scales_m: tuple[float, ...] = (0.3,)
    rule: FieldRule = FieldRule()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt export``."""
    parser.add_argument('--out', type=Path, required=True, help='model folder to write')
    parser.add_argument('--name', default='untrained', help='name of the model')
    parser.add_argument('--seed', type=int, default=EncoderConfig().seed, help='of every number')


def run(args: argparse.Namespace) -> int:
    """Export the untrained model to ``args.out``."""
    config = EncoderConfig(seed=args.seed)
    backbone = seeded_backbone(config)
    print(f'whitening on rendered rooms {CALIBRATION_SEEDS} …', flush=True)
    whiten(backbone, config, CALIBRATION_SEEDS)
    print('exporting graphs …', flush=True)
    field = FieldConfig()
    export_model(args.out, args.name, config, field, backbone)
    print(f'calibrating confidence on rendered rooms {CONFIDENCE_SEEDS} …', flush=True)
    score = found_score(args.out.resolve(), CONFIDENCE_SEEDS)
    export_model(args.out, args.name, config, field, backbone, score)
    size = sum(path.stat().st_size for path in args.out.iterdir())
    print(f'wrote {args.out} ({size / 1e6:.2f} MB)')
    return 0


def export_model(
    folder: Path,
    name: str,
    config: EncoderConfig,
    field: FieldConfig,
    backbone: UntrainedBackbone,
    score: tuple[float, float] = (0.5, 12.0),
) -> None:
    """Write a complete model folder, or nothing: it is made aside and moved into place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix='.export-', dir=folder.parent))
    try:
        omega = {
            'appearance': field_frequencies(
                field.appearance_features, field.appearance_scales_m, config.seed + 2
            ),
            'geometry': field_frequencies(
                field.geometry_features, field.geometry_scales_m, config.seed + 3
            ),
        }
        save_file(omega, aside / 'omega.safetensors')
        weights = {key: value.numpy() for key, value in backbone.state_dict().items()}
        save_file(weights, aside / 'weights.safetensors')
        for stem, model in _graphs(config, field, backbone).items():
            onnx.save(model, aside / f'{stem}.onnx')
        _write_manifest(aside, name, config, field, score)
        shutil.rmtree(folder, ignore_errors=True)
        aside.chmod(0o755)
        for path in aside.iterdir():
            path.chmod(0o644)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _graphs(
    config: EncoderConfig, field: FieldConfig, backbone: nn.Module
) -> dict[str, onnx.ModelProto]:
    sizes = {
        'appearance': (field.appearance_features, 7 + config.embedding),
        'geometry': (field.geometry_features, GEOMETRY_CHANNELS),
    }
    with warnings.catch_warnings():
        # The exporter warns of its own internals; its errors still raise.
        warnings.simplefilter('ignore')
        logging.getLogger('torch.onnx').setLevel(logging.ERROR)
        graphs = {'encode': _encode_graph(config, backbone), 'embed': _embed_graph(backbone)}
        for name, (features, channels) in sizes.items():
            graphs[f'{name}_update'] = _update_graph(field.rule, features, channels)
            graphs[f'{name}_read'] = _read_graph(features, channels)
    return graphs


def _encode_graph(config: EncoderConfig, backbone: nn.Module) -> onnx.ModelProto:
    frames, tokens = config.chunk_frames, config.tokens
    arguments = (
        torch.zeros(frames, config.image_height, config.image_width, 3, dtype=torch.uint8),
        torch.ones(frames, tokens),
        torch.ones(tokens, 3),
        torch.eye(4)[:3].expand(frames, 3, 4).contiguous(),
        torch.ones(frames),
    )
    encoder = FrameEncoder(config, backbone)
    return export_graph(encoder, arguments, encoder.inputs, encoder.outputs)


def _update_graph(rule: FieldRule, features: int, channels: int) -> onnx.ModelProto:
    update, samples = FieldUpdate(rule), 48
    arguments = (
        torch.zeros(features, features),
        torch.zeros(features, channels),
        torch.zeros(features, channels),
        torch.zeros(samples, 3),
        torch.zeros(samples, channels),
        torch.ones(samples),
        torch.zeros(features // 2, 3),
    )
    many = {0: torch.export.Dim('samples')}
    state = update.inputs[:3]
    return export_graph(
        update,
        arguments,
        [*(f'state/{name}' for name in state), *update.inputs[3:]],
        [f'next_state/{name}' for name in state],
        dynamic=((None, None, None, many, many, many, None),),
        parts=[CustomPart(update, arguments, dict.fromkeys(update.inputs[3:6], many))],
    )


def _read_graph(features: int, channels: int) -> onnx.ModelProto:
    read = FieldRead()
    arguments = (
        torch.zeros(features, channels),
        torch.zeros(48, 3),
        torch.zeros(features // 2, 3),
    )
    dynamic = (None, {0: torch.export.Dim('points')}, None)
    return export_graph(read, arguments, read.inputs, read.outputs, dynamic=dynamic)


def _embed_graph(backbone: nn.Module) -> onnx.ModelProto:
    embedder = ExampleEmbedder(backbone)
    pictures = torch.zeros(3, WINDOW, WINDOW, 3, dtype=torch.uint8)
    many = ({0: torch.export.Dim('pictures')},)
    return export_graph(embedder, (pictures,), embedder.inputs, embedder.outputs, dynamic=many)


def _write_manifest(
    folder: Path,
    name: str,
    config: EncoderConfig,
    field: FieldConfig,
    score: tuple[float, float],
) -> None:
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }
    manifest = {
        'artefact_version': ARTEFACT_VERSION,
        'name': name,
        'opset': OPSET,
        'image': {'width': config.image_width, 'height': config.image_height},
        'chunk_frames': config.chunk_frames,
        'grid': list(config.grid),
        'window': WINDOW,
        'embedding': config.embedding,
        'depth_max_m': config.depth_max_m,
        'free_margin_m': config.free_margin_m,
        'field': {
            'sectors': field.sectors,
            'appearance_features': field.appearance_features,
            'appearance_channels': 7 + config.embedding,
            'appearance_scales_m': list(field.appearance_scales_m),
            'geometry_features': field.geometry_features,
            'geometry_scales_m': list(field.geometry_scales_m),
            'rule': asdict(field.rule),
        },
        'found_score': list(score),
        'labels': [],
        'provenance': {
            'encoder': 'random convolutions, never trained',
            'seed': config.seed,
            'whitening': f'rendered rooms, seeds {list(CALIBRATION_SEEDS)}',
            'confidence': f'rendered rooms, seeds {list(CONFIDENCE_SEEDS)}',
        },
        'graphs': {path.stem: _signature(path) for path in sorted(folder.glob('*.onnx'))},
        'files': files,
    }
    text = yaml.safe_dump(manifest, sort_keys=False, width=100)
    (folder / 'manifest.yaml').write_text(text, encoding='utf-8')


def _signature(path: Path) -> dict[str, dict[str, str]]:
    graph = onnx.load(path).graph
    return {
        kind: {value.name: _type_of(value) for value in values}
        for kind, values in (('inputs', graph.input), ('outputs', graph.output))
    }


def _type_of(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    sizes = [str(dim.dim_param or dim.dim_value) for dim in tensor.shape.dim]
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    return f'{dtype}[{", ".join(sizes)}]'
