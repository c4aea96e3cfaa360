# A framework's image: its packages, the container SDK and the class that serves its saved models.
# The build context, put together by docker/build.sh, holds `packages/`, those that the base does not
# have, `sdk/` and `container/`, the framework's folder. What changes most comes last.
ARG BASE=clipper/base

FROM ${BASE}
LABEL ai.clipper.built=unfinished
USER 0
COPY packages /opt/clipper/packages
RUN python3 -I -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/tests?/' \
    /opt/clipper/packages || true
COPY sdk /opt/clipper/sdk
COPY container /opt/clipper/container
RUN python3 -I -m compileall -q -j 0 --invalidation-mode unchecked-hash \
    /opt/clipper/sdk /opt/clipper/container
# The file and the class in it; empty where the model brings its own.
ARG TARGET
ENV CLIPPER_CONTAINER_TARGET=${TARGET}
USER 10001:10001
