# The nats-server of PyPI. The context "programs" is the folder that has it.
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/*
COPY --from=programs nats-server /usr/local/bin/
ENTRYPOINT ["nats-server"]
