# The gateway: `iqa-serve` on slim Python, for a Triton elsewhere; without torch.
FROM python:3.13-slim-trixie AS build

WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY bulk bulk
COPY iqa iqa
COPY decoding decoding
COPY gateway gateway
COPY launcher launcher
COPY model_repository model_repository
COPY serving serving
# A start takes the highest of these that the machine has, and compiles nothing.
ARG SIMD_LEVELS=v3,v4
RUN python -m venv /opt/iqa \
    && /opt/iqa/bin/pip install --no-cache-dir '.[serve,tracing]' \
    && NUMBA_CACHE_DIR=/opt/iqa/kernels /opt/iqa/bin/python -m iqa.warm_up --level "$SIMD_LEVELS"


FROM python:3.13-slim-trixie

COPY --from=build /opt/iqa /opt/iqa

ENV PATH=/opt/iqa/bin:$PATH \
    NUMBA_CACHE_DIR=/opt/iqa/kernels \
    PYTHONDONTWRITEBYTECODE=1 \
    IQA_HOST=0.0.0.0 \
    IQA_METRICS_PORT=8103 \
    IQA_WORKERS=2 \
    IQA_TRITON_URL=127.0.0.1:8101 \
    IQA_LOG_LEVEL=info \
    IQA_LOG_FORMAT=json

USER 1000:1000
EXPOSE 8000 8103
CMD ["iqa-serve"]
