# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Snapshots are whole or refused; a refused one changes nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from ros2_spatial_ttt.errors import SnapshotError
from ros2_spatial_ttt.memory.snapshot import FORMAT_VERSION
from ros2_spatial_ttt.types import Query, QueryType, Region

pytestmark = pytest.mark.ort

POINTS = [(0.0, 0.0, 1.2), (0.0, 0.0, 0.3), (1.0, 0.5, 0.8), (9.0, 9.0, 1.0)]
FLIPS = 40


def answers(memory) -> list:
    """Return what a memory says, without ids and times."""
    queries = [Query(QueryType.DESCRIBE, region=Region(p, p)) for p in POINTS]
    queries.append(Query(QueryType.NEAREST, viewpoint=np.eye(4)))
    out = []
    for query in queries:
        answer = memory.query(query)
        places = [[*i.position.tolist(), i.last_seen_ns] for i in answer.instances]
        out.append([int(answer.code), answer.value, answer.sentence, places])
    return out


# A process that knows nothing but the file.
LOADER = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from test_snapshot import answers
from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
memory = SpatialMemory(MemoryConfig(model="untrained"))
memory.load(sys.argv[1])
status = memory.status(with_hash=True)
print(json.dumps([status.state_hash, status.chunks, answers(memory)]))
"""


@pytest.fixture(scope='module')
def saved(make_memory, feed, tour, tmp_path_factory):
    """A small memory and its snapshot, for reading only."""
    memory = feed(make_memory(evidence__keyframes=2), tour[:2])
    path = tmp_path_factory.mktemp('snapshot') / 'small.safetensors'
    assert memory.save(path) == path.stat().st_size
    return memory, path


@pytest.fixture(scope='module')
def live(make_memory, feed, tour):
    """A memory of other things, to load into."""
    return feed(make_memory(), tour[20:22])


@pytest.fixture
def refused(live, state_hash):
    """Return a function that loads a file, which must fail and change nothing."""

    def load(path: Path) -> str:
        before, status = state_hash(live), live.status()
        with pytest.raises(SnapshotError) as error:
            live.load(path)
        assert state_hash(live) == before
        assert live.status().chunks == status.chunks
        assert str(path) in str(error.value)
        return str(error.value)

    return load


def rewritten(source: Path, target: Path, *, tensors=None, **changes) -> Path:
    """Write a snapshot again with other metadata, the checksum left as it was."""
    with safe_open(source, framework='numpy') as file:
        metadata = file.metadata()
    meta = {**json.loads(metadata['spatial_ttt']), **changes}
    metadata['spatial_ttt'] = json.dumps(meta, sort_keys=True)
    save_file(tensors or load_file(source), target, metadata)
    return target


def test_a_new_process_has_the_same_state_and_gives_the_same_answers(saved, state_hash):
    memory, path = saved
    command = [sys.executable, '-c', LOADER, str(path), str(Path(__file__).parent)]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stderr
    loaded_hash, chunks, said = json.loads(out.stdout)
    assert loaded_hash == state_hash(memory)
    assert chunks == memory.status().chunks
    assert said == json.loads(json.dumps(answers(memory)))


def test_a_loaded_memory_goes_on_like_the_one_that_was_saved(
    make_memory, feed, tour, tmp_path, state_hash
):
    first, second = make_memory(), make_memory()
    feed(first, tour[:8])
    first.save(tmp_path / 'a.safetensors')
    second.load(tmp_path / 'a.safetensors')
    for memory in (first, second):
        feed(memory, tour[8:12])
    assert state_hash(first) == state_hash(second)


def test_saving_again_replaces_the_file_with_the_same_content(saved, tmp_path):
    memory, path = saved
    target = tmp_path / 'again.safetensors'
    target.write_bytes(b'something older')
    memory.save(target)
    again, first = load_file(target), load_file(path)
    assert target.stat().st_size == path.stat().st_size and again.keys() == first.keys()
    assert all(np.array_equal(again[name], tensor) for name, tensor in first.items())


def test_a_memory_that_lost_parts_comes_back_as_it_was(
    make_memory, feed, tour, tmp_path, state_hash
):
    """Some tiles have no space left, some no looks; which sector is older counts as well."""
    first, second = (make_memory(tiles__budget_mb=1.0) for _ in range(2))
    feed(first, tour[::2])
    tiles = first.state.tiles
    assert first.state.forgotten_looks > 0
    assert any(len(tile.appearance) > 1 for tile in tiles.values())
    first.save(tmp_path / 'a.safetensors')
    second.load(tmp_path / 'a.safetensors')
    assert state_hash(first) == state_hash(second)
    for index, tile in second.state.tiles.items():
        assert list(tile.appearance) == list(tiles[index].appearance)
        assert (tile.geometry is None) == (tiles[index].geometry is None)


def test_an_empty_memory_can_be_saved_and_loaded(make_memory, tmp_path, state_hash):
    memory = make_memory()
    memory.save(tmp_path / 'empty.safetensors')
    memory.load(tmp_path / 'empty.safetensors')
    assert memory.status().tiles_resident == 0


@pytest.mark.parametrize('share', [0.0, 0.00001, 0.001, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_refused(saved, refused, tmp_path, share):
    data = saved[1].read_bytes()
    path = tmp_path / 'short.safetensors'
    path.write_bytes(data[: int(share * len(data))])
    refused(path)


def test_one_missing_byte_and_one_too_many_are_refused(saved, refused, tmp_path):
    data = saved[1].read_bytes()
    path = tmp_path / 'off_by_one.safetensors'
    for wrong in (data[:-1], data + b'\0'):
        path.write_bytes(wrong)
        refused(path)


def test_a_flipped_byte_anywhere_is_refused(saved, make_memory, refused, tmp_path, rng):
    data = saved[1].read_bytes()
    header = 8 + int.from_bytes(data[:8], 'little')
    assert header < len(data) / 20, 'half of the positions would else be in the header'
    places = np.r_[
        rng.integers(0, header, FLIPS // 2), rng.integers(header, len(data), FLIPS // 2), 0, 8
    ]
    path = tmp_path / 'flipped.safetensors'
    for position in places.tolist():
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        assert bytes(damaged) != data
        path.write_bytes(damaged)
        refused(path)
    # What was refused above was the damage and nothing else.
    path.write_bytes(data)
    make_memory().load(path)


@pytest.mark.parametrize(('name', 'dtype'), [('F32', 'I32'), ('F64', 'I64'), ('F16', 'I16')])
def test_a_changed_data_type_in_the_header_is_refused(saved, refused, tmp_path, name, dtype):
    """One changed letter keeps every size and every byte of the tensors."""
    data = saved[1].read_bytes()
    damaged = data.replace(f'"dtype":"{name}"'.encode(), f'"dtype":"{dtype}"'.encode(), 1)
    assert damaged != data
    path = tmp_path / 'dtype.safetensors'
    path.write_bytes(damaged)
    assert 'checksum' in refused(path)


def test_a_file_that_is_no_snapshot_is_refused(refused, tmp_path):
    path = tmp_path / 'other.safetensors'
    save_file({'a': np.zeros(3, np.float32)}, path)
    assert 'not a snapshot' in refused(path)
    path.write_text('hello')
    assert 'not a snapshot' in refused(path)


def test_a_tile_file_is_no_snapshot(make_memory, feed, tour, refused, tmp_path):
    memory = make_memory(tiles__directory=str(tmp_path), tiles__budget_mb=1.0)
    feed(memory, tour[::2])
    tile = next(tmp_path.glob('tile_*.safetensors'))
    assert 'one tile' in refused(tile)


def test_a_missing_file_is_refused(refused, tmp_path):
    assert 'no such file' in refused(tmp_path / 'nothing.safetensors')
    assert 'no such file' in refused(tmp_path)


@pytest.mark.parametrize('version', [FORMAT_VERSION - 1, FORMAT_VERSION + 1])
def test_another_version_is_refused_with_both_versions(saved, refused, tmp_path, version):
    path = rewritten(saved[1], tmp_path / 'other.safetensors', format_version=version)
    assert f'version {version}, this package reads {FORMAT_VERSION}' in refused(path)


def test_keyframes_come_back_with_their_looks(saved, make_memory):
    memory, keyframes = make_memory(), saved[0].keyframes()
    memory.load(saved[1])
    assert len(keyframes) == len(memory.keyframes()) > 1
    for before, after in zip(keyframes, memory.keyframes(), strict=True):
        assert after.nbytes == before.nbytes
        assert before.looks.any() and np.array_equal(after.looks, before.looks)


def test_changed_metadata_is_refused(saved, refused, tmp_path):
    path = rewritten(saved[1], tmp_path / 'changed.safetensors', chunks=77)
    assert 'checksum' in refused(path)


def test_another_map_is_refused_and_marked(saved, make_memory, state_hash):
    memory = make_memory(map_id='another house')
    with pytest.raises(SnapshotError, match="map_id is 'default'") as error:
        memory.load(saved[1])
    assert error.value.map_mismatch
    assert memory.status().tiles_resident == 0


def test_tiles_of_another_size_are_refused(saved, make_memory):
    with pytest.raises(SnapshotError, match='tile_size_m') as error:
        make_memory(tiles__size_m=3.0).load(saved[1])
    assert not error.value.map_mismatch


def test_another_model_is_refused_with_both_hashes(saved, make_memory, manifest, tmp_path):
    """The same graphs with one more file are another model."""
    folder = shutil.copytree(manifest.folder, tmp_path / 'other')
    raw = yaml.safe_load((folder / 'manifest.yaml').read_text())
    (folder / 'notes.txt').write_text('')
    raw['files']['notes.txt'] = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    (folder / 'manifest.yaml').write_text(yaml.safe_dump(raw))
    memory = make_memory(model=str(folder))
    assert memory.manifest.hash != manifest.hash
    with pytest.raises(SnapshotError, match=manifest.hash[:12]):
        memory.load(saved[1])


@pytest.mark.parametrize('place', ['missing folder', 'file as folder', 'folder as file'])
def test_a_snapshot_that_cannot_be_written_leaves_nothing(saved, tmp_path, place):
    memory, _ = saved
    (tmp_path / 'a_file').write_text('here')
    (tmp_path / 'a_folder' / 'full').mkdir(parents=True)
    path = {
        'missing folder': tmp_path / 'no' / 'room.safetensors',
        'file as folder': tmp_path / 'a_file' / 'room.safetensors',
        'folder as file': tmp_path / 'a_folder',
    }[place]
    with pytest.raises(SnapshotError, match='cannot be written'):
        memory.save(path)
    assert sorted(item.name for item in tmp_path.iterdir()) == ['a_file', 'a_folder']


def test_what_a_killed_process_left_half_written_is_cleaned(saved, tmp_path):
    memory, _ = saved
    leftover = tmp_path / '.room.safetensors.4242.partial'
    leftover.write_bytes(b'half')
    of_another = tmp_path / '.hall.safetensors.4242.partial'
    of_another.write_bytes(b'half')
    memory.save(tmp_path / 'room.safetensors')
    assert sorted(item.name for item in tmp_path.iterdir()) == [
        of_another.name,
        'room.safetensors',
    ]


def test_several_threads_may_save_under_one_name(saved, make_memory, tmp_path, state_hash):
    memory, _ = saved
    path, errors = tmp_path / 'shared.safetensors', []

    def save():
        try:
            for _ in range(5):
                memory.save(path)
        except SnapshotError as error:
            errors.append(error)

    threads = [threading.Thread(target=save) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    loaded = make_memory()
    loaded.load(path)
    assert state_hash(loaded) == state_hash(memory)


def test_a_tile_directory_that_cannot_be_made_is_refused(make_memory, tmp_path):
    (tmp_path / 'a_file').write_text('here')
    with pytest.raises(SnapshotError, match=r'tiles\.directory'):
        make_memory(tiles__directory=str(tmp_path / 'a_file' / 'tiles'))
