# What all model containers share: Python, a user without rights, and what the container SDK needs.
# For CUDA it is the same with another BASE_IMAGE, NVIDIA's `runtime` for one.
# The build context, put together by docker/build.sh, holds `packages/`, installed and not compiled.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS python
LABEL ai.clipper.built=unfinished
# Debian's and Ubuntu's images, NVIDIA's among them, come without Python, and Python's own without
# what LightGBM needs. Only then are packages fetched.
# hadolint ignore=DL3008,SC2086
RUN missing=; \
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || missing=python3; \
    case "$(ldconfig -p)" in *libgomp.so.1*) ;; *) missing="$missing libgomp1" ;; esac; \
    [ -z "$missing" ] \
    || { apt-get update \
        && apt-get install --yes --no-install-recommends $missing \
        && rm -rf /var/lib/apt/lists/* /var/cache/apt/*; }
RUN groupadd --gid 10001 model \
    && useradd --uid 10001 --gid model --no-create-home --home-dir /tmp model

FROM python
COPY packages /opt/clipper/base
# Compiled without a look at the clock: the same packages are the same layer. Isolated: nothing of
# theirs is imported. A file for another Python, or one that is a template, is no error.
RUN python3 -I -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/tests?/' /opt/clipper/base \
    || true
# The daemon runs it with a read-only root: /tmp is all there is to write to.
ENV HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONPATH=/opt/clipper/environment:/opt/clipper/packages:/opt/clipper/sdk:/opt/clipper/base \
    CLIPPER_CONTAINER_LISTEN=0.0.0.0:7000 \
    CLIPPER_CONTAINER_READY_FILE=/tmp/ready
USER 10001:10001
WORKDIR /
EXPOSE 7000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["test", "-f", "/tmp/ready"]
# Which model: by CLIPPER_CONTAINER_TARGET and CLIPPER_CONTAINER_MODEL_DATA, or as arguments.
ENTRYPOINT ["python3", "-P", "-m", "clipper_container"]
