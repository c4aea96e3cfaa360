# The daemon, with everything that its process replicas need. It never runs Docker itself, and is
# best run with `--init`, which buries what its replicas leave behind.
# The build context, put together by docker/build.sh, holds `wheels/` and `own/`, our own wheels.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
LABEL ai.clipper.built=image
COPY wheels /wheels
RUN python3 -m venv --without-pip /opt/clipper \
    && find /wheels -name '*.whl' -exec python3 -m pip --python /opt/clipper/bin/python install \
        --no-cache-dir --no-index --no-deps {} +
COPY own /own
RUN find /own -name '*.whl' -exec python3 -m pip --python /opt/clipper/bin/python install \
        --no-cache-dir --no-index --no-deps {} +

FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 clipper \
    && useradd --uid 10001 --gid clipper --no-create-home --home-dir /var/lib/clipper clipper \
    && install --directory --owner clipper --group clipper /var/lib/clipper
COPY --from=packages /opt/clipper /opt/clipper

# Beyond loopback the daemon asks for CLIPPER_ADMIN_TOKEN, or CLIPPER_ADMIN_TOKEN_FILE.
ENV LANG=C.UTF-8 \
    PATH=/opt/clipper/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    CLIPPER_HOST=0.0.0.0 \
    CLIPPER_DATA_DIR=/var/lib/clipper/data
USER 10001:10001
WORKDIR /var/lib/clipper
VOLUME /var/lib/clipper
EXPOSE 1337 1338
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:1338/health/live', timeout=4)"]
ENTRYPOINT ["clipperd"]
