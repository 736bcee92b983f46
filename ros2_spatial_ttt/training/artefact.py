# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Writing a model folder: graphs, weights, key frequencies and the manifest that names them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from numpy.typing import NDArray
from safetensors.numpy import save_file

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.memory.field import EMBEDDING
from ros2_spatial_ttt.runtime.base import ARTEFACT_VERSION, load_manifest
from ros2_spatial_ttt.runtime.ort import OrtRuntime
from ros2_spatial_ttt.runtime.parity import inputs, outputs
from ros2_spatial_ttt.training.graphs import FieldConfig, Graphs, second_look_graph
from ros2_spatial_ttt.training.onnx_functions import OPSET
from ros2_spatial_ttt.training.precision import in_half
from ros2_spatial_ttt.training.second_look import SecondLook
from ros2_spatial_ttt.training.untrained import field_frequencies

# Graphs whose size goes with the tokens; the fields are solved in float32.
TOKEN_GRAPHS = ('update', 'embed')

# What people write of a model: it stays when the model is exported again.
CARD = 'README.md'

__all__ = ['Artefact', 'add_second_look', 'frequencies', 'require_replaceable', 'write_artefact']


@dataclass(frozen=True)
class Artefact:
    """What a model folder is made of.

    Attributes:
        graphs: by file stem. weights: of the network, for the reference runtime.
        omega: key frequencies of each field.
        state: {name: array} of the state before the first chunk.
        half: products of tokens in float16.
        manifest: what the manifest says beside files, graphs and the field.
        field: sizes of the fields. embedding: E.
    """

    graphs: Graphs
    weights: dict[str, NDArray]
    omega: dict[str, NDArray]
    manifest: dict[str, Any]
    field: FieldConfig
    embedding: int
    state: dict[str, NDArray] = field(default_factory=dict)
    half: bool = False


def frequencies(field: FieldConfig, seed: int) -> dict[str, NDArray]:
    """Return the key frequencies of both fields."""
    return {
        'appearance': field_frequencies(
            field.appearance_features, field.appearance_scales_m, seed + 2
        ),
        'geometry': field_frequencies(field.geometry_features, field.geometry_scales_m, seed + 3),
    }


def require_replaceable(folder: Path) -> None:
    """Raise ConfigError unless a model may be written there: nothing else is ever replaced."""
    if folder.is_dir():
        names = sorted(path.name for path in folder.iterdir())
        if not names or _is_model(folder):
            return
        got = f'a folder that holds {names[0]!r}' + (
            f' and {len(names) - 1} more' * (len(names) > 1)
        )
    elif folder.exists():
        got = 'a file'
    else:
        return
    raise ConfigError(
        f'--out {folder}: expected no folder, an empty one or a model folder, which is replaced, '
        f'got {got}; choose another folder, or empty this one'
    )


def write_artefact(folder: Path, artefact: Artefact) -> None:
    """Write a complete model folder, or nothing: it is made aside and moved into place.

    A model that is there is replaced whole; its card (README.md) is kept.

    Raises:
        ConfigError: the folder cannot be written, or holds something else than a model.
    """
    require_replaceable(folder)
    place = folder.resolve()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix='.export-', dir=place.parent))
    except OSError as error:
        raise ConfigError(
            f'--out {folder}: cannot be written ({error}); choose another folder'
        ) from error
    try:
        made = aside / 'model'
        made.mkdir()
        _fill(made, artefact)
        if (place / CARD).is_file():
            shutil.copy(place / CARD, made)
        made.chmod(0o755)
        for path in made.iterdir():
            path.chmod(0o644)
        _put(made, place, aside / 'replaced')
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _is_model(folder: Path) -> bool:
    """Return whether a folder has the manifest of a model, of whatever version."""
    try:
        manifest = yaml.safe_load((folder / 'manifest.yaml').read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return isinstance(manifest, dict) and 'artefact_version' in manifest


def _put(made: Path, place: Path, replaced: Path) -> None:
    """Move a folder into place; what was there goes to ``replaced``, or back if that fails."""
    there = place.exists()
    if there:
        place.rename(replaced)
    try:
        made.rename(place)
    except OSError:
        if there:
            replaced.rename(place)
        raise


def add_second_look(folder: Path, net: SecondLook, provenance: dict[str, Any]) -> None:
    """Put a second look into a model folder, or leave it as it was; one that is there goes.

    Args:
        folder: of the model.
        net: batch norms folded.
        provenance: how it was trained.

    Raises:
        ConfigError: the folder cannot be written.
    """
    place = folder.resolve()
    try:
        aside = Path(tempfile.mkdtemp(prefix='.second-look-', dir=place.parent))
    except OSError as error:
        raise ConfigError(
            f'{folder}: cannot be written ({error}); copy the model to a folder that you may '
            'write to'
        ) from error
    try:
        made = aside / 'model'
        shutil.copytree(place, made)
        weights = {k: v.detach().contiguous().numpy() for k, v in net.state_dict().items()}
        save_file(weights, made / 'second_look.safetensors')
        with _quiet_exporter():
            model = second_look_graph(net)
        manifest = yaml.safe_load((made / 'manifest.yaml').read_text(encoding='utf-8'))
        if manifest['precision'] == 'fp16':
            model = in_half(model)
        _share_weights(model, made / 'second_look.safetensors')
        (made / 'second_look.onnx').write_bytes(model.SerializeToString())
        told = {**(manifest.get('provenance') or {}), 'second_look': provenance}
        _finish(made, {**manifest, 'provenance': told})
        for path in made.iterdir():
            path.chmod(0o644)
        _put(made, place, aside / 'replaced')
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _fill(folder: Path, artefact: Artefact) -> None:
    save_file(artefact.omega, folder / 'omega.safetensors')
    save_file(artefact.weights, folder / 'weights.safetensors')
    if artefact.state:
        # Zeros need no file: shapes are in the manifest.
        filled = {name: value for name, value in artefact.state.items() if value.any()}
        save_file(filled, folder / 'state.safetensors')
    with _quiet_exporter():
        for stem, make in artefact.graphs.items():
            model = make()
            if artefact.half and stem in TOKEN_GRAPHS:
                model = in_half(model)
            _share_weights(model, folder / 'weights.safetensors')
            (folder / f'{stem}.onnx').write_bytes(model.SerializeToString())
    _finish(folder, _described(artefact))


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep the exporter from warning of its own internals; its errors still raise."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        logging.getLogger('torch.onnx').setLevel(logging.ERROR)
        yield


def _finish(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a folder, and what its graphs say here, for others to compare with."""
    _write_manifest(folder, manifest)
    runtime = OrtRuntime(load_manifest(folder), threads=1)
    reduced = inputs(runtime.manifest)
    said = outputs(runtime, reduced)
    broken = [name for name, array in said.items() if not np.isfinite(array).all()]
    if broken:
        raise ConfigError(f'the exported graph says NaN or infinity in {broken[:5]}; not written')
    save_file(reduced | said, folder / 'parity.safetensors')
    _write_manifest(folder, manifest)


def _share_weights(model: onnx.ModelProto, path: Path) -> None:
    """Let a graph read the weights that lie in a safetensors file from there, in place.

    ONNX's external data is a file, an offset and a length; a safetensors file is just that.
    """
    with path.open('rb') as file:
        length = int.from_bytes(file.read(8), 'little')
        header = json.loads(file.read(length))
        data = file.read()
    for tensor in model.graph.initializer:
        entry = header.get(tensor.name.removeprefix('net.'))
        if entry is None or tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        begin, end = entry['data_offsets']
        if onnx.numpy_helper.to_array(tensor).tobytes() != data[begin:end]:
            continue
        tensor.ClearField('raw_data')
        place = {'location': path.name, 'offset': 8 + length + begin, 'length': end - begin}
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))


def _described(artefact: Artefact) -> dict[str, Any]:
    """Return what the manifest says beside graphs and files."""
    return {
        'artefact_version': ARTEFACT_VERSION,
        'opset': OPSET,
        'precision': 'fp16' if artefact.half else 'fp32',
        **artefact.manifest,
        'field': _field_entry(artefact.field, artefact.embedding),
        'state': {name: list(value.shape) for name, value in artefact.state.items()},
    }


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    made = {
        'graphs': {path.stem: _signature(path) for path in sorted(folder.glob('*.onnx'))},
        'files': {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir())
            if path.name not in ('manifest.yaml', CARD)
        },
    }
    text = yaml.safe_dump({**manifest, **made}, sort_keys=False, width=100)
    (folder / 'manifest.yaml').write_text(text, encoding='utf-8')


def _field_entry(field: FieldConfig, embedding: int) -> dict[str, Any]:
    return {
        'sectors': field.sectors,
        'appearance_features': field.appearance_features,
        'appearance_channels': EMBEDDING.start + embedding,
        'appearance_scales_m': list(field.appearance_scales_m),
        'geometry_features': field.geometry_features,
        'geometry_scales_m': list(field.geometry_scales_m),
        'rule': asdict(field.rule),
    }


def _signature(path: Path) -> dict[str, dict[str, str]]:
    graph = onnx.load(path, load_external_data=False).graph
    return {
        kind: {value.name: _type_of(value) for value in values}
        for kind, values in (('inputs', graph.input), ('outputs', graph.output))
    }


def _type_of(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    sizes = [str(dim.dim_param or dim.dim_value) for dim in tensor.shape.dim]
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    return f'{dtype}[{", ".join(sizes)}]'
