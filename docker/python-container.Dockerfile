# What every model container is made of: the container SDK on a Python 3.11 base, for CPUs.
# The build context, put together by docker/build.sh, holds `wheels/`.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
COPY wheels /wheels
RUN python3 -m venv --without-pip /opt/clipper/python \
    && python3 -m pip --python /opt/clipper/python/bin/python install \
        --no-cache-dir --no-index --find-links /wheels clipper-container

FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 model \
    && useradd --uid 10001 --gid model --no-create-home --home-dir /tmp model
COPY --from=packages /opt/clipper/python /opt/clipper/python

# The daemon runs it with a read-only root: /tmp is all there is to write to.
ENV HOME=/tmp \
    LANG=C.UTF-8 \
    PATH=/opt/clipper/python/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    CLIPPER_CONTAINER_LISTEN=0.0.0.0:7000 \
    CLIPPER_CONTAINER_READY_FILE=/tmp/ready
USER 10001:10001
WORKDIR /
EXPOSE 7000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["test", "-f", "/tmp/ready"]
# Which model: by CLIPPER_CONTAINER_TARGET and CLIPPER_CONTAINER_MODEL_DATA, or as arguments.
ENTRYPOINT ["python", "-P", "-m", "clipper_container"]
