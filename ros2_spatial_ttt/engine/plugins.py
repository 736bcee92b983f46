# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""How a call of a local function becomes a plugin's node: ``trt_plugins/operators.yaml`` says.

A function's name holds the sizes that its body was exported for; they become attributes. What else
the body holds as constants comes from the manifest.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import onnx
import yaml
from onnx import helper

from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.resources import share_directory
from ros2_spatial_ttt.runtime.base import Manifest
from ros2_spatial_ttt.runtime.trt_library import Plugins

__all__ = ['PluginCalls', 'plugin_calls']

# Constants of the field's update, in the manifest and as attributes by the same names.
_RULE = ('ridge', 'decay', 'mass_max', 'weight_min')


@dataclass(frozen=True)
class PluginCalls:
    """What replaces calls of functions.

    Attributes:
        functions: {pattern of a function's name: creator of its plugin}, those that are loaded.
        attributes: {creator: attributes beside those in the function's name}.
        version: of the plugins.
    """

    functions: Mapping[str, str]
    attributes: Mapping[str, dict[str, Any]]
    version: str

    def replaces(self, function: str) -> bool:
        """Return whether there is a plugin for a function."""
        return self._match(function) is not None

    def rewrite(self, node: onnx.NodeProto) -> None:
        """Make a call of a function a plugin's node, in place; its name stays."""
        found = self._match(node.op_type)
        assert found is not None
        creator, groups = found
        values: dict[str, Any] = {
            key: int(text) if text.isdigit() else text for key, text in groups.items()
        }
        values |= self.attributes.get(creator, {}) | {'plugin_version': self.version}
        node.op_type = creator
        node.attribute.extend(helper.make_attribute(key, value) for key, value in values.items())

    def _match(self, function: str) -> tuple[str, dict[str, str]] | None:
        for pattern, creator in self.functions.items():
            found = re.fullmatch(pattern, function)
            if found:
                return creator, found.groupdict()
        return None


def plugin_calls(manifest: Manifest, plugins: Plugins) -> PluginCalls:
    """Return what the loaded plugins replace in a model.

    Raises:
        ModelError: the table of operators is missing or damaged.
    """
    functions = _functions(plugins.names) if plugins.names else {}
    attributes: dict[str, dict[str, Any]] = {
        'FieldUpdate': {name: manifest.rule[name] for name in _RULE},
    }
    if manifest.precision == 'fp16':
        attributes['FastWeightUpdate'] = {'products': 'fp16'}
    return PluginCalls(functions, attributes, plugins.version)


def _functions(creators: Collection[str]) -> dict[str, str]:
    path = share_directory() / 'trt_plugins' / 'operators.yaml'
    try:
        entries = yaml.safe_load(path.read_text(encoding='utf-8'))
        return {e['function']: e['creator'] for e in entries if e['creator'] in creators}
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ModelError(
            f'{path}: the table of plugins cannot be read ({error!r}); install the package again, '
            'or use --no-plugins'
        ) from error
