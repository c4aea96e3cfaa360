#!/usr/bin/env bash
# Build the images of the model containers and of the daemon.
#
#     docker/build.sh [IMAGE...]      python noop sklearn (the default), daemon
#
# BASE_IMAGE   any image with Python 3.11, its venv and pip (default: python:3.11-slim-bookworm)
# PREFIX       how the images' names begin (default: clipper)
# PYTHON       the interpreter whose pip downloads the wheels (default: python3)
#
# Wheels are downloaded here and copied in: a build needs no network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

base_image=${BASE_IMAGE:-python:3.11-slim-bookworm}
prefix=${PREFIX:-clipper}
python=${PYTHON:-python3}
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' clipper/__init__.py)
work=build/docker
machine=$(uname -m)

# What a Debian bookworm image runs, whatever this machine is.
platform=(--python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none)
for tag in manylinux_2_{17..36} manylinux2014 linux; do
  platform+=(--platform "${tag}_$machine")
done

download() { # FOLDER REQUIREMENT...
  local folder=$1
  shift
  mkdir -p "$folder"
  "$python" -m pip download --quiet --only-binary=:all: --constraint constraints.txt \
    "${platform[@]}" --dest "$folder" "$@"
}

fresh() { # FOLDER: empty it
  rm -rf -- "$work/$1"
  mkdir -p "$work/$1"
  echo "$work/$1"
}

build() { # IMAGE DOCKERFILE CONTEXT ARGUMENT...
  local image=$1 dockerfile=$2 context=$3
  shift 3
  cp "docker/$dockerfile" "$context/Dockerfile"
  docker build --quiet --tag "$image:$version" --build-arg "BASE_IMAGE=$base_image" "$@" "$context"
}

own_wheels() { # FOLDER PROJECT...: our own packages, from this source tree
  local folder=$1
  shift
  "$python" -m pip wheel --quiet --no-deps --wheel-dir "$folder" "$@"
}

# All that goes into model containers is resolved at once, so that versions agree between images.
container_wheels() {
  all=$(fresh wheels)
  own_wheels "$all" ./containers/python
  # By path: a package of that name elsewhere must not take its place.
  download "$all" "$all"/clipper_container-*.whl scikit-learn joblib
}

build_python() {
  local context
  context=$(fresh python)
  download "$context/wheels" --no-index --find-links "$all" clipper-container
  build "$prefix/python-container" python-container.Dockerfile "$context"
}

build_framework() { # FRAMEWORK CLASS REQUIREMENT...
  local framework=$1 class=$2 context wheel
  shift 2
  context=$(fresh "$framework")
  mkdir "$context/wheels"
  (($# == 0)) || download "$context/wheels" --no-index --find-links "$all" "$@"
  for wheel in "$work"/python/wheels/*.whl; do
    rm -f -- "$context/wheels/${wheel##*/}"
  done
  cp -r "containers/$framework" "$context/container"
  build "$prefix/$framework-container" framework-container.Dockerfile "$context" \
    --build-arg "PYTHON_CONTAINER=$prefix/python-container:$version" \
    --build-arg "TARGET=${framework}_container.py:$class"
}

build_daemon() {
  local context
  context=$(fresh daemon)
  own_wheels "$context/wheels" ./containers/python .
  # async-timeout: pip asks this interpreter which markers hold, and redis wants it before 3.11.3.
  download "$context/wheels" "$context"/wheels/clipper_container-*.whl async-timeout \
    "$(echo "$context"/wheels/clipper_serving-*.whl)[sklearn]"
  build "$prefix/clipperd" daemon.Dockerfile "$context"
}

(($#)) || set -- python noop sklearn
for image in "$@"; do
  case $image in
    python | noop | sklearn)
      [[ -n ${all:-} ]] || { container_wheels; build_python; }
      ;;&
    noop) build_framework noop NoopContainer ;;
    sklearn) build_framework sklearn SklearnContainer scikit-learn joblib ;;
    python) ;;
    daemon) build_daemon ;;
    *)
      echo "there is no image $image; choose of: python noop sklearn daemon" >&2
      exit 2
      ;;
  esac
done
