# The controller alone, without simulators. It runs as an ordinary user and writes to /var/lib/fusion-bridge and /tmp only, so the
# root file system may be read-only. Settings: mount /etc/fusion-bridge/bridge.yaml.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /empty
WORKDIR /source
COPY . .
RUN .ci/install /opt/fusion-bridge

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/fusion-bridge /opt/fusion-bridge
# Where the embedded Postgres lives when no database URL is set: XDG_DATA_HOME/fusion-bridge.
COPY --from=build --chown=65534:65534 /empty /var/lib/fusion-bridge
ENV PATH=/opt/fusion-bridge/bin:$PATH XDG_DATA_HOME=/var/lib PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# nobody: the number, so that Kubernetes can see that it is not root; it has a name in the image, which Postgres asks for.
USER 65534:65534
VOLUME /var/lib/fusion-bridge
ENTRYPOINT ["fusion-bridge"]
CMD ["run"]
