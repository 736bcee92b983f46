# Jetson Orin with JetPack 6 (L4T r36): Ubuntu 22.04, CUDA 12.6, TensorRT 10.3, ROS 2 Humble.
# docker build -f docker/jetpack6.Dockerfile -t spatial_ttt:jetpack6 .
FROM nvcr.io/nvidia/l4t-tensorrt:r10.3.0-devel
ARG ROS=humble
ENV DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8

RUN apt-get update && apt-get install -y --no-install-recommends curl ca-certificates gnupg && \
    curl -fsSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key \
      -o /usr/share/keyrings/ros.gpg && \
    echo "deb [signed-by=/usr/share/keyrings/ros.gpg] http://packages.ros.org/ros2/ubuntu \
      $(. /etc/os-release && echo "$UBUNTU_CODENAME") main" >/etc/apt/sources.list.d/ros2.list && \
    apt-get update && apt-get install -y --no-install-recommends \
      build-essential cmake python3-pip python3-colcon-common-extensions python3-rosdep \
      python3-libnvinfer libnvinfer-headers-dev \
      "ros-$ROS-ros-base" "ros-$ROS-cv-bridge" "ros-$ROS-tf2-ros" && \
    rm -rf /var/lib/apt/lists/*

WORKDIR /ws/src/spatial_ttt
COPY requirements requirements
# CUDA 12 has its own cuda-bindings; NumPy stays below 2 for the modules of ROS.
RUN pip3 install --no-cache-dir -c requirements/distribution.txt -r requirements/runtime.txt \
      onnx "cuda-bindings<13"
COPY . .
WORKDIR /ws
RUN . "/opt/ros/$ROS/setup.sh" && \
    colcon build --packages-select spatial_ttt --cmake-args -DCMAKE_CUDA_ARCHITECTURES=87

# Engines outlive the container.
ENV SPATIAL_TTT_ENGINES=/cache/engines
VOLUME /cache
RUN printf '#!/bin/bash\n. /opt/ros/%s/setup.bash\n. /ws/install/setup.bash\nexec "$@"\n' "$ROS" \
      >/entrypoint && chmod +x /entrypoint
ENTRYPOINT ["/entrypoint"]
CMD ["bash"]
