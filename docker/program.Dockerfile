# A model container that is a program of its own, in C++ or Go, say: it needs the C library, and no more.
# The build context, put together by docker/build.sh, holds `container`, the program.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 model \
    && useradd --uid 10001 --gid model --no-create-home --home-dir /tmp model
COPY container /opt/clipper/container
# The daemon runs it with a read-only root: /tmp is all there is to write to.
ENV HOME=/tmp \
    LANG=C.UTF-8 \
    CLIPPER_CONTAINER_LISTEN=0.0.0.0:7000 \
    CLIPPER_CONTAINER_READY_FILE=/tmp/ready
USER 10001:10001
WORKDIR /
EXPOSE 7000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["test", "-f", "/tmp/ready"]
# Which model: by CLIPPER_CONTAINER_MODEL_DATA.
ENTRYPOINT ["/opt/clipper/container"]
