# One image for every door: `serve`, `slack`, `mcp` and the commands of the terminal.
#
#   docker build -t omni .
#   docker run -p 8000:8000 -v omni-data:/data -v ./config:/app/config:ro --env-file .env omni
#   docker run --rm omni --help
#
# With `--build-arg BUILD=tuned` the program is built for the way that requests take through it, which takes long.

FROM rust:1.94-slim-trixie AS build
# The allocator is built with it.
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ARG BUILD=plain
RUN case $BUILD in \
      plain) cargo build --release --locked --package omni-cli --bin omni ;; \
      tuned) rustup component add llvm-tools && benches/tune.sh /tuned && install -D /tuned/omni target/release/omni ;; \
      *) echo "BUILD is plain or tuned, and not $BUILD" >&2 && exit 2 ;; \
    esac

FROM debian:trixie-slim AS runtime
# The same numbers everywhere, so that volumes keep their owner.
RUN groupadd --gid 10001 omni \
    && useradd --uid 10001 --gid omni --home-dir /data --no-create-home --shell /usr/sbin/nologin omni \
    && install --directory --owner omni --group omni --mode 0700 /data \
    && install --directory /app/config
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/omni /usr/local/bin/omni

# Everything that is written is below /data: the ledger's write-ahead file, its key, SQLite. The root may be
# read-only. The configuration is in /app/config and nowhere else: where none was mounted, nobody is let in.
ENV HOME=/data XDG_DATA_HOME=/data LOG_FORMAT=json OMNI_CONFIG=/app/config
WORKDIR /app
VOLUME ["/data"]
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["omni", "health", "--url", "http://127.0.0.1:8000"]
ENTRYPOINT ["omni"]
CMD ["serve", "--bind", "0.0.0.0:8000"]
