# The gateway: FastAPI on slim Python, without torch.
FROM python:3.13-slim-trixie AS build

WORKDIR /src
COPY pyproject.toml README.md ./
COPY iqa iqa
COPY decoding decoding
COPY gateway gateway
COPY launcher launcher
COPY model_repository model_repository
COPY serving serving
RUN python -m venv /opt/iqa \
    && /opt/iqa/bin/pip install --no-cache-dir '.[tracing]' \
    && NUMBA_CACHE_DIR=/opt/iqa/kernels /opt/iqa/bin/python -m iqa.warm_up


FROM python:3.13-slim-trixie

COPY --from=build /opt/iqa /opt/iqa

# uvicorn takes the number of workers from WEB_CONCURRENCY; they add up their metrics in
# PROMETHEUS_MULTIPROC_DIR, a tmpfs. MALLOC_*: see KEEP_MEMORY in launcher/service.py.
ENV PATH=/opt/iqa/bin:$PATH \
    NUMBA_CACHE_DIR=/opt/iqa/kernels \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_MMAP_THRESHOLD_=33554432 \
    MALLOC_TRIM_THRESHOLD_=134217728 \
    WEB_CONCURRENCY=2 \
    PROMETHEUS_MULTIPROC_DIR=/run/iqa-metrics

USER 1000:1000
EXPOSE 8000
CMD ["uvicorn", "gateway.app:app", "--host", "0.0.0.0", "--port", "8000", \
     "--http", "gateway.http.protocol:OneWriteProtocol", "--no-access-log", "--no-server-header", \
     "--timeout-graceful-shutdown", "30"]
