# Triton with all models. Which release, and why: docs/deployment.md.
ARG TRITON_RELEASE=26.11
FROM nvcr.io/nvidia/tritonserver:${TRITON_RELEASE}-py3

# "gpu" installs torch, for the GPU kernels; empty for a CPU image some gigabytes smaller.
ARG EXTRA=gpu

# When the Triton language launches its first kernel, it compiles a small C module for Python.
# hadolint ignore=DL3008
RUN if [ -n "$EXTRA" ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends gcc libc6-dev libpython3-dev \
        && rm -rf /var/lib/apt/lists/*; \
    fi

# Among the system's packages, because the Python backend's interpreter may ignore PYTHONPATH.
# A start takes the highest of these levels that the machine has, and compiles nothing for a CPU.
ARG SIMD_LEVELS=v3,v4
# hadolint ignore=DL3013
RUN --mount=type=bind,target=/src,rw \
    pip install --no-cache-dir --break-system-packages "/src${EXTRA:+[${EXTRA}]}" \
    && NUMBA_CACHE_DIR=/opt/iqa-kernels python3 -m iqa.warm_up --level "$SIMD_LEVELS"

COPY model_repository /models
COPY --chmod=755 deploy/iqa-triton /usr/local/bin/iqa-triton

# The root is read-only: what is written at run time goes to /tmp, a tmpfs.
# MALLOC_*: see KEEP_MEMORY in launcher/family.py.
ENV HOME=/tmp \
    MALLOC_MMAP_THRESHOLD_=33554432 \
    MALLOC_TRIM_THRESHOLD_=134217728 \
    NUMBA_CACHE_DIR=/opt/iqa-kernels

USER 1000:1000
EXPOSE 8100 8101 8102
CMD ["iqa-triton"]
