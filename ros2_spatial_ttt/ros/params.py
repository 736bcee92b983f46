# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The settings as ROS parameters and as ``config/memory.yaml``.

``python -m ros2_spatial_ttt.ros.params`` writes the YAML file; only ``declare`` needs ROS.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from ros2_spatial_ttt.ros.settings import NodeConfig, settings_parameters

__all__ = ['declare', 'given_values', 'is_own', 'main', 'yaml_text']

BUILT_IN = ('use_sim_time', 'start_type_description_service')
QOS_PREFIX = 'qos_overrides.'


def given_values(node: Any) -> dict[str, Any]:
    """Return {name: value} of the parameters of a ROS node, without those of ROS itself."""
    found = node.get_parameters_by_prefix('')
    return {name: _plain(item.value) for name, item in found.items() if is_own(name)}


def is_own(name: str) -> bool:
    """Tell whether a parameter is the node's own, not one of ROS itself."""
    return name not in BUILT_IN and not name.startswith(QOS_PREFIX)


def _plain(value: Any) -> Any:
    """Return arrays as lists; ROS hands them over as list, tuple or array.array."""
    is_array = hasattr(value, '__iter__') and not isinstance(value, (str, bytes))
    return list(value) if is_array else value


def declare(node: Any) -> None:
    """Declare every parameter on a ROS node that declared its overrides already.

    An override of the wrong type or out of range is kept as it is, so that ``resolve`` can list
    it with all others. Call again when ``cameras`` was changed; what is declared well stays.
    """
    given = given_values(node)
    cameras = given.get('cameras', NodeConfig().cameras)
    names = (
        [name for name in cameras if isinstance(name, str)] if isinstance(cameras, list) else []
    )
    for name, item, default in settings_parameters(list(dict.fromkeys(names))):
        if node.has_parameter(name):
            if node.describe_parameter(name).description:
                continue
            node.undeclare_parameter(name)
        _declare_one(node, name, item, _whole_to_float(given.get(name, default), default))


def _whole_to_float(value: Any, default: Any) -> Any:
    """Accept 2 where 2.0 is meant, also in lists."""
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if isinstance(default, list) and isinstance(value, list) and isinstance(default[0], float):
        return [float(x) if type(x) is int else x for x in value]
    return value


def _declare_one(node: Any, name: str, item: dataclasses.Field, value: Any) -> None:
    from rclpy.exceptions import ParameterException

    default = item.default if item.default is not dataclasses.MISSING else item.default_factory()
    try:
        if type(value) is not type(default):
            raise ParameterException(f'{name} is of the wrong type', name)
        node.declare_parameter(name, value, _descriptor(item, default), ignore_override=True)
    except ParameterException:
        free = _descriptor(item, None)
        free.dynamic_typing = True
        node.declare_parameter(name, value, free, ignore_override=True)


def _descriptor(item: dataclasses.Field, default: Any) -> Any:
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    meta = item.metadata
    unit = f' [{meta["unit"]}]' if meta['unit'] else ''
    constraints = 'Fixed from configure to cleanup.'
    if meta['choices']:
        constraints = f'One of {", ".join(meta["choices"])}. {constraints}'
    out = ParameterDescriptor(description=meta['doc'] + unit, additional_constraints=constraints)
    if meta['low'] is not None and isinstance(default, float):
        low, high = float(meta['low']), float(meta['high'])
        out.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif meta['low'] is not None and isinstance(default, int):
        low, high = int(meta['low']), int(meta['high'])
        out.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    return out


def yaml_text() -> str:
    """Return ``config/memory.yaml``: every parameter with default, unit, range and sentence."""
    lines = [
        '# Every parameter of the node /spatial_memory with its default.',
        '# Written by `python -m ros2_spatial_ttt.ros.params`: change the dataclasses, not this.',
        '# QoS: sensor data on all subscriptions; any topic can be overridden, for example',
        '#   qos_overrides: {/camera/color/image_raw: {subscription: {reliability: reliable}}}',
        '/**:',
        '  ros__parameters:',
    ]
    opened: list[str] = []
    for name, item, default in settings_parameters(NodeConfig().cameras):
        *groups, leaf = name.split('.')
        for depth in range(len(groups)):
            if groups[: depth + 1] != opened[: depth + 1]:
                lines.append(f'{"  " * (depth + 2)}{groups[depth]}:')
        opened = groups
        indent = '  ' * (len(groups) + 2)
        lines.append(f'{indent}# {_comment(item)}')
        lines.append(f'{indent}{leaf}: {json.dumps(default)}')
    return '\n'.join(lines) + '\n'


def _comment(item: dataclasses.Field) -> str:
    meta = item.metadata
    text = meta['doc']
    if meta['low'] is not None:
        unit = f' {meta["unit"]}' if meta['unit'] else ''
        text += f' [{meta["low"]} to {meta["high"]}{unit}]'
    elif meta['unit']:
        text += f' [{meta["unit"]}]'
    return text


def main(argv: list[str] | None = None) -> int:
    """Write the YAML file to the path given, by default config/memory.yaml here."""
    arguments = sys.argv[1:] if argv is None else argv
    path = Path(arguments[0]) if arguments else Path('config/memory.yaml')
    path.write_text(yaml_text(), encoding='utf-8')
    print(f'wrote {path}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
