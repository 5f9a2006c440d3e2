# syntax=docker/dockerfile:1
# The service alone: no dev mode, traces by OpenTelemetry. For both platforms:
#   docker buildx build --platform linux/amd64,linux/arm64 --tag fluxhls .

# Compilers run on the builder's own platform, and cross-compile: emulation would take an hour.
FROM --platform=$BUILDPLATFORM rust:1.95-slim-trixie AS chef
ARG TARGETARCH
# No here-document: Buildah before 1.33 knows none.
RUN set -eu; \
    apt-get update; \
    case "$TARGETARCH" in \
      arm64) triple=aarch64-unknown-linux-gnu; tools="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;; \
      amd64) triple=x86_64-unknown-linux-gnu; tools="gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;; \
      *) echo "no build for $TARGETARCH" >&2; exit 1 ;; \
    esac; \
    native=$(rustc -vV | sed -n 's/^host: //p'); \
    [ "$triple" != "$native" ] || tools=; \
    # jemalloc is built by its own configure and make.
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends gcc libc6-dev make $tools; \
    rm -rf /var/lib/apt/lists/*; \
    rustup target add "$triple"; \
    echo "$triple" >/triple; \
    # Kernels for arm64 have pages of 4, 16 or 64 KiB, and jemalloc must be built for the largest.
    [ "$TARGETARCH" != arm64 ] || printf '[env]\nJEMALLOC_SYS_WITH_LG_PAGE = "16"\n' >>"$CARGO_HOME/config.toml"
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc
RUN cargo install cargo-chef --locked --version 0.1.73
WORKDIR /src

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path /recipe.json

FROM chef AS build
COPY --from=plan /recipe.json /recipe.json
RUN cargo chef cook --release --target "$(cat /triple)" --package fluxhls --no-default-features --features otel --recipe-path /recipe.json
COPY . .
RUN cargo build --release --locked --target "$(cat /triple)" --package fluxhls --no-default-features --features otel \
    && cp "target/$(cat /triple)/release/fluxhls" /fluxhls

FROM debian:trixie-slim
# setpriv (util-linux, there already) ties ffmpeg to its worker.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates ffmpeg \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /fluxhls /usr/local/bin/fluxhls
LABEL org.opencontainers.image.title=fluxhls \
      org.opencontainers.image.description="Upload events in, adaptive HLS out" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
USER 65532:65532
EXPOSE 8080
# It reaps its children and obeys SIGTERM, so it needs no init process.
ENTRYPOINT ["fluxhls"]
CMD ["run"]
