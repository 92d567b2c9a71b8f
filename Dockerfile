# The benchmark with its locked dependencies; `make image` builds it and says in its labels which code it holds.
#   docker run --rm -v "$PWD/data:/app/data" wbc-benchmark python -m entrypoints.train --model vgg16
# CUDA comes with PyTorch's wheels and the driver with `--gpus all`, so a slim base will do.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS uv
RUN --mount=type=bind,source=requirements.lock,target=/requirements.lock \
    pip install --no-cache-dir --root-user-action=ignore --target /uv "$(grep -oE '^uv==[0-9.]+' /requirements.lock)"

FROM ${BASE}
# gcc: PyTorch starts the code that it compiles for a GPU by a little C.
RUN apt-get update -q && apt-get install -q -y --no-install-recommends tini gcc libc6-dev && rm -rf /var/lib/apt/lists/*
# The lock as constraints: what pyproject.toml asks for at the lock's versions and hashes, without Docker's client, Ray and
# the tools of developers.
# Importing them here writes the byte code and the list of fonts that runs start from.
ENV MPLCONFIGDIR=/opt/matplotlib
RUN --mount=type=bind,from=uv,source=/uv,target=/uv \
    --mount=type=bind,source=pyproject.toml,target=/build/pyproject.toml \
    --mount=type=bind,source=requirements.lock,target=/build/requirements.lock \
    /uv/bin/uv pip install --system --system-certs --no-cache --require-hashes \
        -r /build/pyproject.toml --extra team -c /build/requirements.lock && \
    mkdir -m 1777 /opt/matplotlib && \
    python -c "import matplotlib.pyplot, mlflow.pyfunc, pandas, scipy.stats, sklearn.metrics, timm, torch, torchvision, typer"

ENV PYTHONPATH=/app PYTHONUNBUFFERED=1 GIT_PYTHON_REFRESH=quiet MLFLOW_DISABLE_TELEMETRY=true
WORKDIR /app
COPY LICENSE MLproject conda.yaml pyproject.toml requirements.lock ./
COPY entrypoints entrypoints
COPY wbc wbc
RUN useradd --no-create-home --home-dir /tmp --shell /usr/sbin/nologin wbc && chmod 1777 /app && \
    python -c "import entrypoints.train, wbc.sweep.reproduce"
USER wbc
# Any --user will do: it has a name and a home that can be written to.
ENV HOME=/tmp USER=wbc

ARG VERSION= REVISION= SOURCE= CODE= LOCK=
ENV WBC_COMMIT=${REVISION}
LABEL org.opencontainers.image.title="wbc-benchmark" \
      org.opencontainers.image.description="White blood cell classification under domain shift" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      wbc.code="${CODE}" wbc.lock="${LOCK}"
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "entrypoints.reproduce"]
