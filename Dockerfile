# A farcall server, without anything that is only for development.
#
#   docker build -t farcall .
#   docker run --rm -p 127.0.0.1:7070:7070 -v farcall-data:/var/lib/farcall farcall
#
# deploy/Dockerfile.modules makes an image from this one whose server has modules, compiled, from its start.
#
# PYTHON_IMAGE is the base of both stages: any image with glibc and Python 3.11 or newer (with its venv module).
ARG PYTHON_IMAGE=python:3.13-slim


FROM ${PYTHON_IMAGE} AS build

RUN python3 -m venv /opt/build
WORKDIR /source
COPY constraints.txt ./
RUN /opt/build/bin/python -m pip install --no-cache-dir --constraint constraints.txt hatchling
COPY pyproject.toml README.md LICENSE ./
COPY proto ./proto
COPY engine ./engine
COPY server ./server
COPY client ./client
# The wheel, then an environment with it and what it needs: all that the second stage takes.
RUN /opt/build/bin/python -m pip wheel --no-cache-dir --no-build-isolation --no-deps --wheel-dir /opt/wheels . \
    && python3 -m venv --without-pip /opt/farcall \
    && /opt/build/bin/python -m pip --python /opt/farcall/bin/python install --no-cache-dir \
        --constraint constraints.txt /opt/wheels/*.whl


FROM ${PYTHON_IMAGE}

LABEL org.opencontainers.image.title="farcall" \
      org.opencontainers.image.description="Runs WebAssembly functions remotely, at native speed" \
      org.opencontainers.image.licenses="Apache-2.0"

RUN groupadd --gid 10001 farcall \
    && useradd --uid 10001 --gid farcall --no-create-home --home-dir /nonexistent farcall \
    && install --directory --owner=farcall --group=farcall --mode=0700 /var/lib/farcall
COPY --from=build /opt/farcall /opt/farcall

ENV PATH=/opt/farcall/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
VOLUME /var/lib/farcall
EXPOSE 7070
# The exec form: farcall is process 1, and gets the signal itself. Running calls have 8 seconds to finish, since
# `docker stop` kills after 10; where more is allowed, say so in both places (see deploy/).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["farcall", "health", "--timeout", "4"]
ENTRYPOINT ["farcall"]
CMD ["serve", "--address", "0.0.0.0:7070", "--data-directory", "/var/lib/farcall", \
     "--shutdown-grace", "8", "--log-format", "json"]
