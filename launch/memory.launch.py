# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Start /spatial_memory, configure it and activate it.

    ros2 launch spatial_ttt memory.launch.py params_file:=/path/to/memory.yaml

Everything but ``params_file`` may stay as it is; ``--show-args`` explains each argument.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

from launch import LaunchDescription

PACKAGE = 'spatial_ttt'
NODE_NAME = 'spatial_memory'
BOOLEAN = ['true', 'false']
# What is drawn in rviz, under the node's name.
DRAWN = ('markers', 'field')


def generate_launch_description():
    """Return the launch description."""
    share = Path(get_package_share_directory(PACKAGE))
    return LaunchDescription([*_arguments(share), OpaqueFunction(function=_actions, args=[share])])


def _arguments(share):
    return [
        DeclareLaunchArgument(
            'params_file',
            default_value=str(share / 'config' / 'memory.yaml'),
            description='YAML file with parameters; those it leaves out keep their defaults.',
        ),
        DeclareLaunchArgument(
            'namespace', default_value='', description='Namespace of the node, such as a robot.'
        ),
        DeclareLaunchArgument(
            'use_sim_time',
            default_value='false',
            choices=BOOLEAN,
            description='Take the time from /clock; always so where a bag is given.',
        ),
        DeclareLaunchArgument(
            'autostart',
            default_value='true',
            choices=BOOLEAN,
            description='Configure and activate the node; false leaves that to a manager.',
        ),
        DeclareLaunchArgument(
            'backend',
            default_value='',
            description="Parameter memory.backend; '' keeps that of params_file.",
        ),
        DeclareLaunchArgument(
            'model',
            default_value='',
            description="Parameter memory.model, name or folder; '' keeps that of params_file.",
        ),
        DeclareLaunchArgument(
            'bag',
            default_value='',
            description="Folder of a rosbag2 to play with /clock to the active node; '' for none.",
        ),
        DeclareLaunchArgument(
            'rviz',
            default_value='false',
            choices=BOOLEAN,
            description='Start rviz2 with the markers and the field of the memory.',
        ),
        DeclareLaunchArgument(
            'log_level',
            default_value='info',
            choices=['debug', 'info', 'warn', 'error', 'fatal'],
            description='Log level of the node.',
        ),
    ]


def _actions(context, share):
    """Return the actions for the given arguments."""
    given = {name: LaunchConfiguration(name).perform(context) for name in _names(share)}
    node = _memory_node(given)
    actions = [node]
    player = [_player(given['bag'])] if given['bag'] else []
    if given['autostart'] == 'true':
        actions += _autostart(node, when_active=player)
    else:
        actions += player
    if given['rviz'] == 'true':
        actions.append(_rviz(share, given))
    return actions


def _names(share):
    return [argument.name for argument in _arguments(share)]


def _sim_time(given):
    return given['use_sim_time'] == 'true' or bool(given['bag'])


def _memory_node(given):
    overrides = {'use_sim_time': _sim_time(given)}
    for name in ('backend', 'model'):
        if given[name]:
            overrides[f'memory.{name}'] = given[name]
    return LifecycleNode(
        package=PACKAGE,
        executable='memory_node',
        name=NODE_NAME,
        namespace=given['namespace'],
        parameters=[given['params_file'], overrides],
        ros_arguments=['--log-level', given['log_level']],
        output='screen',
        emulate_tty=True,
    )


def _autostart(node, *, when_active):
    """Return handlers that configure the started node and activate the configured one."""
    return [
        RegisterEventHandler(
            OnProcessStart(
                target_action=node,
                on_start=[_change(node, Transition.TRANSITION_CONFIGURE)],
            )
        ),
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=node,
                start_state='configuring',
                goal_state='inactive',
                entities=[_change(node, Transition.TRANSITION_ACTIVATE)],
            )
        ),
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=node,
                start_state='activating',
                goal_state='active',
                entities=[LogInfo(msg=f'{NODE_NAME} is active'), *when_active],
            )
        ),
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=node,
                start_state='configuring',
                goal_state='unconfigured',
                entities=[LogInfo(msg=f'{NODE_NAME} could not be configured, see its log')],
            )
        ),
    ]


def _change(node, transition_id):
    return EmitEvent(
        event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition_id)
    )


def _player(bag):
    return ExecuteProcess(cmd=['ros2', 'bag', 'play', '--clock', '100', bag], output='screen')


def _rviz(share, given):
    prefix = f'{given["namespace"]}/{NODE_NAME}'.lstrip('/')
    return Node(
        package='rviz2',
        executable='rviz2',
        arguments=['-d', str(share / 'config' / 'memory.rviz')],
        parameters=[{'use_sim_time': _sim_time(given)}],
        remappings=[(f'/{NODE_NAME}/{topic}', f'/{prefix}/{topic}') for topic in DRAWN],
        output='log',
    )
