# milter-manager-exporter in a container.
#
#   docker build -t milter-manager-exporter .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -p 10125:10125 \
#       -v /var/log:/var/log:ro -v milter-manager-exporter:/var/lib/milter-manager-exporter \
#       milter-manager-exporter
#
# Mount the log's directory, not the log file: a mounted file stays the old one when the log is
# rotated, and the rotated files beside it are out of reach after a restart.
#
# The process is user 10125, and in group 4 besides: Debian's adm, which may read its logs. Where
# logs belong to another group: --group-add "$(stat -c %g /var/log/mail.log)".
# Counters and positions are kept in the volume: name it, as above, or each new container starts
# at 0. A directory in its place must belong to user 10125.
# Flags go to the end of the command line. The address is better given by the variable
# MILTER_MANAGER_EXPORTER_WEB_LISTEN_ADDRESS, which tells the health check too.
#
# It has no journalctl: with the packages it needs that is 18 MB, for the few who mount a journal and
# give --input.journal-directory. They build with --build-arg PACKAGES=systemd.
#
# What a publisher adds:
#   --build-arg REVISION="$(git rev-parse HEAD)"
#   --label org.opencontainers.image.source=URL
#   --build-arg BASE=python:3.13.7-slim-bookworm@sha256:...    the very same base each time
# Behind a mirror of PyPI: --secret id=pip.conf,src=/etc/pip.conf, which leaves nothing behind.

# Any Debian or Ubuntu with Python 3.11 or newer will do, if `python3 -m venv` works there.
ARG BASE=python:3.13.7-slim-bookworm

FROM ${BASE} AS build
ARG REVISION=unknown
WORKDIR /src
COPY . .
# Built by a pip of its own, so that none is where the program is.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    sed -i "s/^REVISION = .*/REVISION = \"${REVISION}\"/" exporter/__init__.py \
    && python3 -m venv /pip \
    && python3 -m venv --without-pip /opt/milter-manager-exporter \
    && /pip/bin/pip --python /opt/milter-manager-exporter/bin/python install --no-cache-dir .

FROM ${BASE}
ARG REVISION=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="milter-manager-exporter" \
      org.opencontainers.image.description="Prometheus exporter that follows milter-manager's log" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ARG PACKAGES=""
# hadolint ignore=DL3008,SC2086
RUN if [ -n "${PACKAGES}" ]; then \
        apt-get update && apt-get install --yes --no-install-recommends ${PACKAGES} \
        && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log; \
    fi
COPY --from=build /opt/milter-manager-exporter /opt/milter-manager-exporter
COPY container/healthcheck /usr/local/bin/
ENV PATH=/opt/milter-manager-exporter/bin:$PATH
# The base's pip goes, too. Importing the program once shows that it can be, and compiles what it
# needs of the standard library: python's images come without, and nothing is written later.
RUN groupadd --gid 10125 exporter \
    && useradd --uid 10125 --gid 10125 --groups adm --no-create-home --no-log-init \
        --home-dir /var/lib/milter-manager-exporter --shell /usr/sbin/nologin exporter \
    && install -d -o 10125 -g 10125 -m 0750 /var/lib/milter-manager-exporter \
    && rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* \
        /usr/local/lib/python3*/ensurepip /usr/lib/python3*/ensurepip /usr/share/python-wheels \
    && python -c 'import exporter.daemon'
# By number, so that Kubernetes can tell that it is not root; without a group, so that adm stays.
USER 10125
VOLUME /var/lib/milter-manager-exporter
EXPOSE 10125
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["healthcheck"]
ENTRYPOINT ["milter-manager-exporter"]
