#!/usr/bin/env bash
# Build the images of the model containers and of the daemon.
#
#     docker/build.sh [IMAGE...]      a framework's name, or daemon; by default all but tensorflow;
#                                     or cpp, or go, which `make containers` has to have built
#
# BASE_IMAGE   any image of Debian or Ubuntu, with Python 3.11 or later, or whose packages have it
#              (default: python:3.11-slim-bookworm; with CUDA nvidia/cuda, see below)
# VARIANT      cuda: images for GPUs, whose tags end in -cuda
# PREFIX       how the images' names begin (default: clipper)
# PYTHON       the interpreter whose pip installs the packages (default: python3)
#
# Packages are installed here and copied in: a build needs no network, and runs nothing of theirs.
# Where they come from is told to pip in its own ways; PyTorch, say, has wheels for CPUs and for CUDA
# in indexes of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

variant=${VARIANT:-}
base_image=${BASE_IMAGE:-python:3.11-slim-bookworm}
[[ $variant != cuda || -n ${BASE_IMAGE:-} ]] || base_image=nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04
prefix=${PREFIX:-clipper}
python=${PYTHON:-python3}
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' clipper/__init__.py)
tag=$version${variant:+-$variant}
work=build/docker
built=ai.clipper.built=image

fresh() { # FOLDER: empty it
  rm -rf -- "${work:?}/$1"
  mkdir -p "$work/$1"
  echo "$work/$1"
}

build() { # DOCKERFILE CONTEXT ARGUMENT...
  local dockerfile=$1 context=$2
  shift 2
  cp "docker/$dockerfile" "$context/Dockerfile"
  docker build --quiet --label "$built" "$@" "$context"
}

# Sets `platform`, by which pip takes the wheels for what an image runs, whatever this machine is.
ask_platform() { # IMAGE
  local script python_version machine libc minor
  script='import platform as p, sys
print("%d.%d" % sys.version_info[:2], p.machine(), p.libc_ver()[1])'
  read -r python_version machine libc < <(
    docker run --rm --network none --entrypoint python3 "$1" -c "$script")
  local abi=cp${python_version/./}
  platform=(--python-version "$python_version" --implementation cp --abi "$abi" --abi abi3 --abi none)
  for ((minor = ${libc#*.}; minor >= 17; minor--)); do # the newest that it can run is preferred
    platform+=(--platform "manylinux_2_${minor}_$machine")
  done
  platform+=(--platform "manylinux2014_$machine" --platform "linux_$machine")
}

download() { # FOLDER REQUIREMENT...
  local folder=$1
  shift
  mkdir -p "$folder"
  "$python" -m pip download --quiet --disable-pip-version-check --only-binary=:all: \
    --constraint constraints.txt "${platform[@]}" --dest "$folder" "$@"
}

install() { # FOLDER WHEEL...: unpack wheels where an image is to find them
  local folder=$1
  shift
  mkdir -p "$folder"
  (($# == 0)) || "$python" -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
    --no-index --no-deps --no-compile --only-binary=:all: "${platform[@]}" --target "$folder" "$@"
}

own_wheels() { # FOLDER PROJECT...: our own packages, from this source tree
  local folder=$1
  shift
  "$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$folder" "$@"
}

build_base() {
  local context stage
  context=$(fresh base)
  stage=$(build base.Dockerfile "$context" --target python --build-arg "BASE_IMAGE=$base_image")
  ask_platform "$stage"
  sdk=$(fresh sdk)
  own_wheels "$sdk" ./containers/python
  # By path: a package of that name elsewhere must not take its place.
  shared=$(fresh base-wheels)
  download "$shared" "$sdk"/*.whl
  rm -- "$shared"/clipper_container-*.whl
  install "$context/packages" "$shared"/*.whl
  build base.Dockerfile "$context" --tag "$prefix/base:$tag" --build-arg "BASE_IMAGE=$base_image"
}

build_framework() { # FRAMEWORK
  local framework=$1 context wheels wheel there base=$prefix/base:$tag facts found
  mapfile -t facts < <("$python" docker/frameworks.py "$framework" "$variant")
  there=("$sdk"/*.whl "$shared"/*.whl)
  if [[ -n ${facts[0]} ]]; then
    image "${facts[0]}"
    base=$prefix/${facts[0]}-container:$tag
    there+=("$work/${facts[0]}-wheels"/*.whl)
  fi
  context=$(fresh "$framework")
  wheels=$(fresh "$framework-wheels")
  # Together with what is there, so that they agree.
  ((${#facts[@]} == 2)) || download "$wheels" "${there[@]}" "${facts[@]:2}"
  for wheel in "${there[@]}"; do
    rm -f -- "$wheels/${wheel##*/}"
  done
  mapfile -t found < <(find "$wheels" -name '*.whl')
  install "$context/packages" "${found[@]}"
  install "$context/sdk" "$sdk"/*.whl
  mkdir "$context/container"
  [[ -z ${facts[1]} ]] || cp -r "containers/$framework/." "$context/container"
  find "$context/container" -name __pycache__ -prune -exec rm -r -- {} +
  build container.Dockerfile "$context" --tag "$prefix/$framework-container:$tag" \
    --build-arg "BASE=$base" --build-arg "TARGET=${facts[1]}"
}

build_program() { # LANGUAGE
  local context
  context=$(fresh "$1")
  cp "build/containers/$1/container" "$context"
  build program.Dockerfile "$context" --tag "$prefix/$1-container:$version" \
    --build-arg "BASE_IMAGE=$base_image"
}

build_daemon() {
  local context
  context=$(fresh daemon)
  ask_platform "$base_image"
  own_wheels "$context/own" ./containers/python .
  # async-timeout: pip asks this interpreter which markers hold, and redis wants it before 3.11.3.
  download "$context/wheels" "$context"/own/clipper_container-*.whl async-timeout \
    "$(echo "$context"/own/clipper_serving-*.whl)[sklearn]"
  rm -- "$context"/wheels/clipper_{container,serving}-*.whl
  build daemon.Dockerfile "$context" --tag "$prefix/clipperd:$version" \
    --build-arg "BASE_IMAGE=$base_image"
}

# What earlier builds have left without a name, and nobody else's: images that were finished, as what
# a build is at has another label.
remove_old_layers() {
  docker image prune --force --filter "label=$built" | tail -n 1
}

mapfile -t frameworks < <("$python" docker/frameworks.py)
programs=(cpp go)
if (($# == 0)); then
  mapfile -t images < <(printf '%s\n' "${frameworks[@]}" daemon | grep -vx tensorflow)
  set -- "${images[@]}"
fi
for name in "$@"; do
  if [[ " ${frameworks[*]} ${programs[*]} daemon " != *" $name "* ]]; then
    echo "there is no image $name; choose of: ${frameworks[*]} ${programs[*]} daemon" >&2
    exit 2
  fi
done
declare -A made

image() { # IMAGE: build it, unless that has been done
  local started=$SECONDS
  [[ -z ${made[$1]:-} ]] || return 0
  if [[ $1 == daemon ]]; then
    build_daemon
  elif [[ " ${programs[*]} " == *" $1 "* ]]; then
    build_program "$1"
  else
    [[ -n ${sdk:-} ]] || build_base
    build_framework "$1"
  fi
  made[$1]=yes
  echo "$1: $((SECONDS - started)) s"
}

# One at a time in this tree: each could remove what another is about to build on.
mkdir -p "$work"
exec {lock}>"$work/lock"
flock "$lock"

for name in "$@"; do
  image "$name"
done
remove_old_layers
