# A framework's image: its packages and its class on top of the Python container's.
# The build context, put together by docker/build.sh, holds `wheels/`, those that the Python
# container does not have, and `container/`, the framework's folder.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG PYTHON_CONTAINER=clipper/python-container

FROM ${BASE_IMAGE} AS packages
COPY wheels /wheels
# Resolved together with the wheels of the Python container, so nothing is left to resolve.
RUN mkdir -p /opt/clipper/packages \
    && find /wheels -name '*.whl' -exec python3 -m pip install \
        --no-cache-dir --no-index --no-deps --target /opt/clipper/packages {} +

FROM ${PYTHON_CONTAINER}
ARG TARGET
COPY --from=packages /opt/clipper/packages /opt/clipper/packages
COPY container /opt/clipper/container
ENV PYTHONPATH=/opt/clipper/packages \
    CLIPPER_CONTAINER_TARGET=/opt/clipper/container/${TARGET}
