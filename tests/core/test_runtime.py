# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Encoder, example embedder and whole memories: ONNX Runtime against the float64 reference."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml

from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.memory.preprocess import CameraTokens
from ros2_spatial_ttt.query.search import example_windows
from ros2_spatial_ttt.runtime.base import ChunkInput, Samples, load_manifest
from ros2_spatial_ttt.runtime.reference import ReferenceRuntime
from ros2_spatial_ttt.types import Example, Query, QueryType, Region

pytest.importorskip('onnxruntime')
from ros2_spatial_ttt.runtime.ort import OrtRuntime

pytestmark = pytest.mark.ort

VALID = 3
# Largest absolute error per tensor, values of order 1.
TOLERANCE = {
    # Metres: one product with a pose in float32.
    'surface_points': 1e-5,
    'free_points': 1e-5,
    # Three convolutions of up to 1152 float32 products, normalised to length 1.
    'surface_values': 2e-4,
    # Weights are 0 or 1 and must not flip.
    'surface_weights': 0.0,
    'free_weights': 0.0,
}


@pytest.fixture(scope='module')
def ort(manifest):
    return OrtRuntime(manifest, threads=1)


@pytest.fixture(scope='module')
def reference(manifest):
    return ReferenceRuntime(manifest)


@pytest.fixture(scope='module')
def chunk(manifest, tour):
    """A chunk of which the last frames are padding."""
    tokens = CameraTokens(tour[0].intrinsics, manifest, depth_max_m=8.0)
    prepared = [tokens.prepare(frame) for frame in tour[:VALID]]
    frames = manifest.chunk_frames
    shape = (frames, manifest.image_height, manifest.image_width, 3)
    image, depth = np.zeros(shape, np.uint8), np.zeros((frames, manifest.tokens), np.float32)
    pose = np.zeros((frames, 3, 4), np.float32)
    for number, frame in enumerate(prepared):
        image[number], depth[number] = frame.image, frame.depth
        pose[number] = frame.map_T_camera[:3]
    depth[0, ::7] = 0.0
    depth[1, ::5] = 9.0
    valid = (np.arange(frames) < VALID).astype(np.float32)
    height = pose[:, 2, 3] * valid
    return ChunkInput(image, depth, prepared[0].ray, pose, valid, height, valid)


@pytest.fixture(scope='module')
def expected(reference, chunk):
    return reference.encode(chunk, {})[0]


def poisoned(chunk):
    """The chunk with NaN in everything of its padded frames."""
    depth, pose, image = chunk.depth.copy(), chunk.tile_T_camera.copy(), chunk.image.copy()
    depth[VALID:], pose[VALID:], image[VALID:] = np.nan, np.nan, 255
    return replace(chunk, depth=depth, tile_T_camera=pose, image=image)


def tensors(samples):
    return {name: getattr(samples, name) for name in Samples.arrays()}


def test_encode_equals_the_reference(ort, chunk, expected):
    for name, got in tensors(ort.encode(chunk, {})[0]).items():
        want = getattr(expected, name)
        assert got.shape == want.shape and got.dtype == np.float32
        assert np.abs(got - want).max() <= TOLERANCE[name], name


def test_the_chunk_has_measured_missing_far_and_padded_tokens(manifest, expected):
    weight = expected.surface_weights.reshape(manifest.chunk_frames, -1)
    assert weight[2].all() and not weight[0, ::7].any() and not weight[1, ::5].any()
    assert (
        not weight[VALID:].any() and not expected.free_weights.reshape(weight.shape)[VALID:].any()
    )


@pytest.mark.parametrize('runtime', ['ort', 'reference'])
def test_nan_in_padded_frames_never_reaches_a_sample(runtime, request, chunk):
    runtime = request.getfixturevalue(runtime)
    clean = tensors(runtime.encode(chunk, {})[0])
    for name, got in tensors(runtime.encode(poisoned(chunk), {})[0]).items():
        assert np.isfinite(got).all(), name
        assert np.array_equal(got, clean[name]), name


def test_free_space_lies_before_its_surface(manifest, chunk, expected):
    eye = np.repeat(chunk.tile_T_camera[:, :, 3], manifest.tokens, axis=0)
    free = expected.free_weights > 0
    surface_m = np.linalg.norm(expected.surface_points - eye, axis=1)[free]
    free_m = np.linalg.norm(expected.free_points - eye, axis=1)[free]
    assert (free_m <= surface_m - manifest.free_margin_m + 1e-6).all()


def test_embed_equals_the_reference(ort, reference, manifest, tour):
    example = Example(tour[5].colour, (40, 30, 150, 110))
    windows = example_windows(example, manifest, camera_width=320)
    assert len(windows) > 1
    got, want = ort.embed(windows), reference.embed(windows)
    assert np.allclose(np.linalg.norm(got, axis=1), 1.0, atol=1e-5)
    # As for the encoder.
    assert np.abs(got - want).max() <= TOLERANCE['surface_values']


def test_an_example_embeds_like_the_token_it_was_cut_from(ort, manifest, chunk):
    """A window and a token see the same pixels, so a question meets what was written."""
    values = ort.encode(chunk, {})[0].surface_values
    values = values.reshape(manifest.chunk_frames, *manifest.sample_grid, -1)
    for row, column in ((7, 10), (4, 15), (10, 3)):
        centre = (np.array([row, column]) + 0.5) * manifest.stride
        top, left = (centre - manifest.window / 2).astype(int)
        window = chunk.image[2, top : top + manifest.window, left : left + manifest.window]
        cosine = float(ort.embed(window[None])[0] @ values[2, row, column, 7:])
        # Only the border of the window, repeated instead of seen, differs.
        assert cosine > 0.8, (row, column)


@pytest.fixture(scope='module')
def both(make_memory, feed, tour):
    frames = tour[: 2 * 8]
    return [feed(make_memory(backend=backend), frames) for backend in ('ort', 'reference')]


def test_memories_of_both_backends_read_alike(both, rng):
    ort, reference = both
    assert (ort.status().backend, reference.status().backend) == ('ort', 'reference')
    points = rng.uniform((-3.5, -3.0, 0.0), (3.5, 3.0, 2.5), (200, 3))
    got, want = ort.read(points), reference.read(points)
    # Two chunks through encoder and conjugate gradients; see test_parity.
    assert np.abs(got.observed - want.observed).max() < 2e-3
    assert np.abs(got.occupied - want.occupied).max() < 2e-3
    assert len(ort.field_points()) == pytest.approx(len(reference.field_points()), rel=0.01)


def test_memories_of_both_backends_answer_alike(both, tour):
    queries = [
        Query(QueryType.LOCATE, examples=(Example(tour[16].colour, (u, 90, 48, 48)),))
        for u in (20, 130, 250)
    ]
    queries += [
        Query(QueryType.DESCRIBE, region=Region(p, p))
        for p in [(0, 0, 1.2), (0, 0, 0.3), (9, 9, 1)]
    ]
    for query in queries:
        got, want = (memory.query(query) for memory in both)
        assert got.code == want.code
        assert got.confidence == pytest.approx(want.confidence, abs=0.01)
        if want.instances:
            apart = got.instances[0].position - want.instances[0].position
            assert np.linalg.norm(apart) < 0.02


@pytest.fixture
def folder(manifest, tmp_path):
    return shutil.copytree(manifest.folder, tmp_path / 'model')


def edited(folder, **changes):
    path = folder / 'manifest.yaml'
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def test_an_altered_model_file_is_refused_with_both_hashes(folder):
    path = folder / 'weights.safetensors'
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r'weights\.safetensors: SHA-256 \w+…, expected \w+…'):
        load_manifest(folder)


def test_a_missing_model_file_is_named(folder):
    (folder / 'embed.onnx').unlink()
    with pytest.raises(ModelError, match=r'embed\.onnx: missing'):
        load_manifest(folder)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'artefact_version': 99}, 'artefact version 99'),
        ({'grid': None}, 'not a valid manifest'),
        ({'field': {}}, 'not a valid manifest'),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(folder, changes, words):
    edited(folder, **changes)
    with pytest.raises(ModelError, match=words):
        load_manifest(folder)


def test_a_folder_without_a_model_is_refused(tmp_path, make_memory):
    with pytest.raises(ModelError, match=r'manifest\.yaml'):
        make_memory(model=str(tmp_path))


def test_a_graph_that_cannot_be_loaded_is_refused(folder, manifest):
    (folder / 'update.onnx').write_bytes(b'not a graph')
    with pytest.raises(ModelError, match=r'update\.onnx: ONNX Runtime .* cannot load it'):
        OrtRuntime(replace(manifest, folder=folder), threads=1)
