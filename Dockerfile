# milter-manager-exporter in a container. Mount the log's directory, not the log file: a mounted
# file stays the old one when the log is rotated.
#
#   docker build -t milter-manager-exporter .
#   docker run -p 10125:10125 -v /var/log:/var/log:ro \
#       --group-add "$(getent group adm | cut -d: -f3)" milter-manager-exporter

ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/milter-manager-exporter \
    && python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && /opt/milter-manager-exporter/bin/pip install --no-cache-dir /wheels/*.whl

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="milter-manager-exporter" \
      org.opencontainers.image.description="Prometheus exporter that follows milter-manager's log" \
      org.opencontainers.image.licenses="Apache-2.0"
# Group adm may read Debian's logs, as long as its number is 4 outside too.
RUN useradd --uid 10125 --no-create-home --shell /usr/sbin/nologin --groups adm exporter
COPY --from=build /opt/milter-manager-exporter /opt/milter-manager-exporter
ENV PATH=/opt/milter-manager-exporter/bin:$PATH
USER 10125
EXPOSE 10125
# Another port or TLS wants another health check.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:10125/-/healthy', timeout=4)"]
ENTRYPOINT ["milter-manager-exporter"]
