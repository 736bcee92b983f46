# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
# Enter the environment that `make` built. Source it from bash:  . scripts/env.sh

_spatial_ttt_root=$(builtin cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Without a sourced ROS 2 distribution the environment itself is the ROS 2 prefix.
if [ -z "${ROS_DISTRO:-}" ] || [ -z "${AMENT_PREFIX_PATH:-}" ]; then
  unset ROS_DISTRO
  export AMENT_PREFIX_PATH=$_spatial_ttt_root/.venv
  export CMAKE_PREFIX_PATH=$_spatial_ttt_root/.venv
fi

if [ -f "$_spatial_ttt_root/.venv/bin/activate" ]; then
  . "$_spatial_ttt_root/.venv/bin/activate"
fi
if [ -f "$_spatial_ttt_root/install/local_setup.bash" ]; then
  . "$_spatial_ttt_root/install/local_setup.bash"
fi

# Stay on this machine unless the caller wants otherwise. Humble knows only the second variable.
export ROS_AUTOMATIC_DISCOVERY_RANGE=${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}
if [ "${ROS_DISTRO:-}" = humble ]; then
  export ROS_LOCALHOST_ONLY=${ROS_LOCALHOST_ONLY:-1}
fi
unset _spatial_ttt_root
