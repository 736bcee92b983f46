# Jetson Thor with JetPack 7 (L4T r38): Ubuntu 24.04, CUDA 13, TensorRT 10.13, ROS 2 Jazzy.
# docker build -f docker/jetpack7.Dockerfile -t spatial_ttt:jetpack7 .
FROM nvcr.io/nvidia/tensorrt:25.08-py3
ARG ROS=jazzy
ENV DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 PIP_BREAK_SYSTEM_PACKAGES=1

RUN apt-get update && apt-get install -y --no-install-recommends curl ca-certificates gnupg && \
    curl -fsSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key \
      -o /usr/share/keyrings/ros.gpg && \
    echo "deb [signed-by=/usr/share/keyrings/ros.gpg] http://packages.ros.org/ros2/ubuntu \
      $(. /etc/os-release && echo "$UBUNTU_CODENAME") main" >/etc/apt/sources.list.d/ros2.list && \
    apt-get update && apt-get install -y --no-install-recommends \
      build-essential cmake python3-pip python3-colcon-common-extensions python3-rosdep \
      "ros-$ROS-ros-base" "ros-$ROS-cv-bridge" "ros-$ROS-tf2-ros" && \
    rm -rf /var/lib/apt/lists/*

WORKDIR /ws/src/spatial_ttt
COPY requirements requirements
# NumPy stays below 2 for the modules of ROS.
RUN pip3 install --no-cache-dir -c requirements/distribution.txt -r requirements/runtime.txt \
      onnx cuda-bindings
COPY . .
WORKDIR /ws
RUN . "/opt/ros/$ROS/setup.sh" && \
    colcon build --packages-select spatial_ttt --cmake-args -DCMAKE_CUDA_ARCHITECTURES=110

# Engines outlive the container.
ENV SPATIAL_TTT_ENGINES=/cache/engines
VOLUME /cache
RUN printf '#!/bin/bash\n. /opt/ros/%s/setup.bash\n. /ws/install/setup.bash\nexec "$@"\n' "$ROS" \
      >/entrypoint && chmod +x /entrypoint
ENTRYPOINT ["/entrypoint"]
CMD ["bash"]
