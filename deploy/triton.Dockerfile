# Triton with both models. 26.07 (Triton 2.71) is the newest release whose notes and source were read
# for this file; nothing before 26.04 has the fixes of the Python backend's shared memory and HTTP.
FROM nvcr.io/nvidia/tritonserver:26.07-py3 AS build

# "gpu" installs torch, for the GPU kernels; empty for a CPU image some gigabytes smaller.
ARG EXTRA=gpu

WORKDIR /src
COPY pyproject.toml README.md ./
COPY iqa iqa
COPY gateway gateway
COPY launcher launcher
COPY model_repository model_repository
# The project itself has no version to pin.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --target /opt/iqa ".${EXTRA:+[${EXTRA}]}"

# A machine with another kind of CPU compiles again, once, when the container starts.
ENV PYTHONPATH=/opt/iqa \
    NUMBA_CACHE_DIR=/opt/iqa-kernels
RUN mkdir "$NUMBA_CACHE_DIR" && python3 -m iqa.warm_up


FROM nvcr.io/nvidia/tritonserver:26.07-py3

COPY --from=build /opt/iqa /opt/iqa
COPY --from=build /opt/iqa-kernels /opt/iqa-kernels
COPY model_repository /models
COPY --chmod=755 deploy/iqa-triton /usr/local/bin/iqa-triton

# The root is read-only: what is written at run time goes to /tmp, a tmpfs.
ENV PYTHONPATH=/opt/iqa \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/tmp/kernels

USER 1000:1000
EXPOSE 8100 8101 8102
CMD ["iqa-triton"]
