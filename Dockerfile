# The service alone, without TensorFlow:
#   docker build -t marquee .
#   docker run -p 127.0.0.1:8000:8000 -v "$PWD/var/releases:/releases:ro" marquee
# What the steps of a compiled pipeline run in:
#   docker build --target steps -t marquee-python:0.1 .
FROM python:3.12-slim-bookworm AS steps
ARG PIP_INDEX_URL
WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --only-binary :all: --requirement requirements.txt
COPY pyproject.toml README.md ./
COPY components/ components/
COPY pipelines/ pipelines/
COPY recommender/ recommender/
COPY serving/ serving/
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
    && useradd --system --uid 10001 --create-home --shell /usr/sbin/nologin marquee
USER 10001

FROM python:3.12-slim-bookworm AS builder
WORKDIR /build
# A package mirror: docker build --build-arg PIP_INDEX_URL=...
ARG PIP_INDEX_URL
COPY requirements.txt pyproject.toml ./
RUN python -m venv /opt/marquee
# What to install stands in pyproject.toml, at which version in requirements.txt.
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['serving'], sep='\n')" > serving.txt \
    && /opt/marquee/bin/pip install --no-cache-dir --only-binary :all: --constraint requirements.txt --requirement serving.txt \
    && /opt/marquee/bin/pip uninstall --yes pip

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin marquee \
    && install -d -o marquee -m 700 /ratings
VOLUME /ratings
COPY --from=builder /opt/marquee /opt/marquee
WORKDIR /app
COPY recommender/ recommender/
COPY serving/ serving/
ENV PATH=/opt/marquee/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MARQUEE_RELEASES=/releases \
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
