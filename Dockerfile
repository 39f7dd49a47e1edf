# One image for every role; the command says which (docker-compose.yml).
# Built where there is a C compiler; the slim image has none.
FROM python:3.11.14-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/tierflow && python -m venv /opt/compiler
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Before the code, so that a change of the code installs no package again.
COPY ops/containers/requirements.lock image.lock
RUN /opt/tierflow/bin/pip install --require-hashes -r image.lock
COPY requirements.lock ./
RUN /opt/compiler/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY schemas schemas
COPY streams streams
COPY connectors connectors
COPY agents agents
COPY ops ops
RUN /opt/compiler/bin/python -m ops.compiled.build --must && mv /opt/compiler/tierflow-compiled /opt/tierflow/
RUN /opt/tierflow/bin/pip install --no-build-isolation --no-deps .

FROM python:3.11.14-slim-bookworm
# Own folders that a volume takes over with their owner.
RUN groupadd --gid 10001 tierflow \
    && useradd --uid 10001 --gid tierflow --no-create-home --home-dir /data tierflow \
    && install -d -o tierflow -g tierflow /data
COPY --from=build /opt/tierflow /opt/tierflow
ENV PATH=/opt/tierflow/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TIERFLOW_DATA_DIR=/data
# What was compiled must have been made from what was installed.
RUN python -c "from ops.compiled import overlay; assert overlay.use()"
USER 10001:10001
WORKDIR /data
VOLUME /data
ENTRYPOINT ["tierflow"]
CMD ["--help"]
