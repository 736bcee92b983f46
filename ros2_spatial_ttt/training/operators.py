# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The three custom parts alone, at sizes worth measuring: as PyTorch and as ONNX graphs.

Letters: F frames, T tokens per frame, N = F T, H heads, e width and m inner width of a head, D
features and C channels of a field.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import onnx
import torch
from torch import Tensor

from ros2_spatial_ttt.training.field_layers import FieldRule, FieldUpdate
from ros2_spatial_ttt.training.layers import CustomLayer, FastWeightUpdate, SpatioTemporalConv
from ros2_spatial_ttt.training.onnx_functions import CustomPart, export_graph
from ros2_spatial_ttt.training.precision import in_half

__all__ = [
    'SIZES',
    'TYPES',
    'Ceilings',
    'Operator',
    'Run',
    'Size',
    'measured_ceilings',
    'no_gpu',
    'operators',
    'repeated',
]

Run = Callable[[int], None]

# Types that tokens are stored in, by their short names.
TYPES = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}
# Inputs that may be narrower than float, and outputs that then are, too.
_TOKENS = ('tokens', 'key', 'value', 'values')
_OF_TOKENS = ('query', 'key', 'value')


@dataclass(frozen=True)
class Size:
    """Sizes of the three parts.

    Attributes:
        frames: F. grid: rows and columns of tokens. heads: H. width: e. inner: m.
        features: D. channels: C. samples: of the field's update.
    """

    frames: int
    grid: tuple[int, int]
    heads: int
    width: int
    inner: int
    features: int
    channels: int
    samples: int


SIZES = {
    # Of the shipped model.
    'nano': Size(8, (8, 10), 4, 32, 64, 128, 71, 2400),
    # Of the larger preset.
    'base': Size(8, (24, 32), 4, 128, 256, 1024, 71, 4800),
    # Of the published network: 2,648 tokens in a chunk.
    'published': Size(8, (1, 331), 4, 512, 512, 2048, 71, 4800),
}


@dataclass(frozen=True)
class Operator:
    """A custom part with random inputs.

    Attributes:
        name: such as 'fast_weight_update'. layer: its PyTorch form. inputs: by name.
        flops: of its products, one multiplication and one addition each. bytes: that must be read
            and written at least. dtype: of tokens, and of products but those of a field.
    """

    name: str
    layer: CustomLayer
    inputs: dict[str, Tensor]
    flops: int
    bytes: int
    dtype: torch.dtype = torch.float32

    def narrowed(self, short: str) -> Operator:
        """Return the operator with tokens of a type of ``TYPES``, named after it."""
        dtype = TYPES[short]
        inputs = {n: t.to(dtype) if n in _TOKENS else t for n, t in self.inputs.items()}
        return replace(
            self,
            name=f'{self.name}_{short}',
            inputs=inputs,
            bytes=_bytes(self.layer, inputs, dtype),
            dtype=dtype,
        )

    def stored(self, output: str) -> torch.dtype:
        """Return the type of an output, given its name."""
        return self.dtype if output in _OF_TOKENS else torch.float32

    @property
    def short(self) -> str:
        """The short name of ``dtype``."""
        return next(short for short, dtype in TYPES.items() if dtype == self.dtype)

    def graph(self, precision: str = 'fp32') -> onnx.ModelProto | None:
        """Return an ONNX graph of one node that calls the part's local function.

        Its inputs are float. None where no model is exported so: nothing is in 'bf16', and a
        field is float in every model.
        """
        if precision == 'fp32':
            return self._exported()
        exported = precision == 'fp16' and not isinstance(self.layer, FieldUpdate)
        return in_half(self._exported()) if exported else None

    def _exported(self) -> onnx.ModelProto:
        arguments = tuple(self.inputs.values())
        logging.getLogger('torch.onnx').setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # The exporter warns of its own internals; its errors still raise.
            warnings.simplefilter('ignore')
            return export_graph(
                self.layer,
                arguments,
                list(self.inputs),
                list(self.layer.outputs),
                parts=[CustomPart(self.layer, arguments, {})],
            )

    def pytorch(self, device: str) -> dict[str, Run]:
        """Return how PyTorch runs the same maths so many times: eager, compiled, CUDA graph.

        A body has one type: where tokens are narrow the blocks' state is, too, which spares
        PyTorch work that the kernels do; a field stays in float.
        """
        kind = torch.float32 if isinstance(self.layer, FieldUpdate) else self.dtype
        arguments = [tensor.to(device, kind) for tensor in self.inputs.values()]
        body = self.layer.body
        ways = {'eager': body, 'compiled': torch.compile(body)}
        if device == 'cuda':
            ways['graph'] = torch.compile(body, mode='reduce-overhead')
        return {name: repeated(function, arguments, device) for name, function in ways.items()}


@dataclass(frozen=True)
class Ceilings:
    """What a device reaches at best.

    Attributes:
        tflops: of a large product of matrices, by type. gbs: of a copy, read and write.
    """

    tflops: dict[str, float]
    gbs: float


def operators(size: Size, rule: str, *, seed: int = 1) -> list[Operator]:
    """Return the parts at a size.

    Args:
        size: of them.
        rule: of the fast weights.
        seed: of the inputs.
    """
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    return [_conv(size, random), _fast(size, rule, random), _field(size, random)]


def no_gpu() -> str | None:
    """Return that PyTorch cannot run on a GPU here; None where it can."""
    if torch.cuda.is_available():
        return None
    return f'PyTorch {torch.__version__} here finds no GPU'


def measured_ceilings(device: str) -> Ceilings:
    """Measure products and copies on 'cuda' or 'cpu', where they are smaller."""
    edge, megabytes = (8192, 512) if device == 'cuda' else (768, 64)
    types = TYPES if device == 'cuda' else {'fp32': torch.float32}
    tflops = {}
    for name, dtype in types.items():
        a = torch.rand(edge, edge, device=device, dtype=dtype)
        tflops[name] = 2e-12 * edge**3 / _seconds(repeated(torch.mm, [a, a], device))
    block = torch.rand(megabytes * 250_000, device=device)
    copy = repeated(lambda source: source.clone(), [block], device)
    return Ceilings(tflops, 2e-9 * block.nbytes / _seconds(copy))


def repeated(function: Callable[..., object], arguments: list[Tensor], device: str) -> Run:
    """Return how a function runs so many times on a device, until all is done."""

    def run(times: int) -> None:
        with torch.no_grad():
            for _ in range(times):
                function(*arguments)
        if device == 'cuda':
            torch.cuda.synchronize()

    return run


def _seconds(run: Run) -> float:
    """Return the shortest of a few runs, after one to warm up."""
    run(1)
    took = []
    for _ in range(5):
        begin = time.perf_counter()
        run(3)
        took.append((time.perf_counter() - begin) / 3)
    return min(took)


def _bytes(
    layer: CustomLayer, inputs: dict[str, Tensor], dtype: torch.dtype = torch.float32
) -> int:
    shapes = zip(layer.outputs, layer.output_shapes(*inputs.values()), strict=True)
    written = (s.numel() * (dtype.itemsize if n in _OF_TOKENS else 4) for n, s in shapes)
    return sum(t.nbytes for t in inputs.values()) + sum(written)


def _conv(s: Size, random: Callable[..., Tensor]) -> Operator:
    layer, count = SpatioTemporalConv(s.grid, s.heads), s.grid[0] * s.grid[1]
    channels = 3 * s.heads * s.width
    inputs = {
        'tokens': random(1, s.frames, count, channels),
        'tail': random(1, 2, count, channels),
        'frame_valid': torch.ones(1, s.frames),
        'kernel': random(3, channels, 1, 3, 3),
        'bias': random(channels),
    }
    flops = 2 * 27 * s.frames * count * channels
    return Operator('spatio_temporal_conv', layer, inputs, flops, _bytes(layer, inputs))


def _fast(s: Size, rule: str, random: Callable[..., Tensor]) -> Operator:
    layer, tokens = FastWeightUpdate(rule), s.frames * s.grid[0] * s.grid[1]
    wide, tall = (s.heads, s.inner, s.width), (s.heads, s.width, s.inner)
    weights = {
        f'{name}{index}': random(*lead, *(tall if index == 1 else wide)) / s.width
        for name, lead in (('w', (1,)), ('m', (1,)), ('initial', ()))
        for index in range(3)
    }
    inputs = weights | {
        'key': random(1, s.heads, tokens, s.width) / s.width**0.5,
        'value': random(1, s.heads, tokens, s.width),
        'rates': random(1, s.heads, tokens, 3) / tokens,
        'gate': random(1, s.heads, tokens),
        'step': random(s.heads),
        'decay': random(s.heads) / 10,
        'frame_valid': torch.ones(1, s.frames),
    }
    # Three products forward, three backward; Muon: three per step and matrix.
    flops = 12 * s.heads * tokens * s.width * s.inner
    if rule == 'muon':
        flops += 15 * s.heads * (4 * s.width**2 * s.inner + 2 * s.width**3)
    return Operator('fast_weight_update', layer, inputs, flops, _bytes(layer, inputs))


def _field(s: Size, random: Callable[..., Tensor]) -> Operator:
    layer, keep = FieldUpdate(FieldRule()), s.features
    inputs = {
        'curvature': torch.eye(keep),
        'target': random(keep, s.channels),
        'weight': random(keep, s.channels),
        'points': 4 * random(s.samples, 3),
        'values': random(s.samples, s.channels),
        'weights': random(s.samples),
        'omega': 3 * random(keep // 2, 3),
    }
    # Half of the symmetric product; one product with A per step and before the first.
    flops = s.samples * keep * (keep + 2 * s.channels)
    flops += 2 * (layer.rule.steps + 1) * keep**2 * s.channels
    return Operator('field_update', layer, inputs, flops, _bytes(layer, inputs))
