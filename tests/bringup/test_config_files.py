# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""config/: the parameter file, the rviz layout and the security policy match the node."""

import ast
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.ros.params import yaml_text
from ros2_spatial_ttt.ros.settings import NodeConfig, resolve, settings_parameters

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'config'


def flat(tree, prefix=''):
    """Return {dotted name: value} of nested dictionaries."""
    out = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            out.update(flat(value, f'{prefix}{name}.'))
        else:
            out[prefix + name] = value
    return out


def written():
    text = (CONFIG / 'memory.yaml').read_text(encoding='utf-8')
    return flat(yaml.safe_load(text)['/**']['ros__parameters'])


def test_parameter_file_is_the_generated_one():
    text = (CONFIG / 'memory.yaml').read_text(encoding='utf-8')
    assert text == yaml_text(), 'run `python -m ros2_spatial_ttt.ros.params`'


def test_parameter_file_holds_every_parameter_with_its_default():
    expected = {name: value for name, _, value in settings_parameters(NodeConfig().cameras)}
    assert written() == expected
    settings = resolve(written())
    assert settings.node == NodeConfig()
    assert list(settings.cameras) == NodeConfig().cameras


def test_every_parameter_has_a_sentence():
    for name, item, _ in settings_parameters(['front']):
        assert len(item.metadata['doc']) > 15, name


def test_every_violation_is_listed():
    with pytest.raises(ConfigError) as caught:
        resolve(
            {
                'cameras': ['a', 'a', 'not-a-name'],
                'nonsense': 1,
                'queue.length': 0,
                'pose.source': 'guess',
                'memory.chunk.flush_s': 'soon',
                'camera.a.extrinsic_xyzw': [0.0, 0.0, 0.0, 2.0],
                'camera.a.extrinsic_xyz': [0.0],
                'camera.a.lens': 'wide',
                'camera.z.transport': 'raw',
            }
        )
    text = str(caught.value)
    for part in (
        'nonsense: no such parameter',
        'queue.length: ',
        'pose.source: ',
        'memory.chunk.flush_s: ',
        'occurs twice',
        'not-a-name',
        'camera.a.extrinsic_xyzw: ',
        'camera.a.extrinsic_xyz: ',
        'camera.a.lens: ',
        'camera.z.transport: ',
    ):
        assert part in text


@pytest.mark.parametrize('names', [[], 'front', [1], ['']])
def test_wrong_camera_lists(names):
    with pytest.raises(ConfigError, match='cameras'):
        resolve({'cameras': names})


def published():
    """Return the topics named in the publishers' source, without the leading ~."""
    source = (ROOT / 'ros2_spatial_ttt' / 'ros' / 'publishers.py').read_text(encoding='utf-8')
    return set(re.findall(r"'~/(\w+)'", source))


def test_rviz_shows_topics_that_are_published():
    layout = yaml.safe_load((CONFIG / 'memory.rviz').read_text(encoding='utf-8'))
    shown = layout['Visualization Manager']['Displays']
    topics = {item['Topic']['Value'] for item in shown if 'Topic' in item}
    assert topics == {'/spatial_memory/field', '/spatial_memory/markers'}
    assert {topic.rsplit('/', 1)[1] for topic in topics} <= published()
    assert layout['Visualization Manager']['Global Options']['Fixed Frame'] == 'map'


def policy(node, kind, **attributes):
    """Return the expressions of the policy of a node with given attributes."""
    root = ET.parse(CONFIG / 'sros2_policy.xml').getroot()
    assert root.attrib == {'version': '0.2.0'}
    wanted = set(attributes.items())
    lists = root.findall(f'.//profile[@node="{node}"]/{kind}s')
    return {item.text for part in lists if wanted <= set(part.items()) for item in part}


def test_policy_allows_what_the_node_publishes():
    assert {f'~/{name}' for name in published()} <= policy(
        'spatial_memory', 'topic', publish='ALLOW'
    )


def test_policy_allows_the_default_inputs():
    inputs = {
        value
        for name, _, value in settings_parameters(['front'])
        if name.endswith('_topic') or name == 'pose.topic'
    }
    allowed = policy('spatial_memory', 'topic', subscribe='ALLOW')
    assert {'/' + topic.lstrip('/') for topic in inputs} <= allowed


def test_policy_allows_every_service_of_the_interface():
    source = (ROOT / 'ros2_spatial_ttt' / 'ros' / 'parts.py').read_text(encoding='utf-8')
    names = {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and str(node.value).startswith('~/')
    }
    assert len(names) == 6
    assert names <= policy('spatial_memory', 'service', reply='ALLOW')


def test_policy_gives_a_client_no_command_that_changes_the_memory():
    allowed = policy('spatial_memory_client', 'service', request='ALLOW')
    assert '/spatial_memory/query' in allowed
    assert not {name.rsplit('/', 1)[1] for name in allowed} & {'save', 'load', 'forget', 'reset'}


def test_transport_profile_holds_a_picture_and_stays_on_this_machine():
    space = '{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}'
    root = ET.parse(CONFIG / 'fastdds.xml').getroot()
    size = int(root.find(f'.//{space}segment_size').text)
    # Two seconds of 640x480 colour and depth at 10 Hz.
    assert size > 20 * 640 * 480 * (3 + 2)
    assert [item.text for item in root.iter(f'{space}address')] == ['127.0.0.1']
    used = {item.text for item in root.find(f'.//{space}userTransports')}
    assert used == {item.text for item in root.iter(f'{space}transport_id')}
