# The toolchain of this machine in the place of the official image. The context "toolchain" is its
# sysroot, "rustup" the folder of its programs, "certificates" the authorities this machine trusts.
FROM debian:trixie-slim
COPY --from=rustup . /usr/local/cargo/bin
COPY --from=toolchain bin /usr/local/rustup/toolchain/bin
COPY --from=toolchain lib /usr/local/rustup/toolchain/lib
COPY --from=certificates ca-certificates.crt /etc/ssl/this-machine.crt
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo SSL_CERT_FILE=/etc/ssl/this-machine.crt \
    PATH=/usr/local/cargo/bin:/usr/sbin:/usr/bin:/sbin:/bin
# rustup takes only what is named like this for one of its own.
RUN name=$(/usr/local/rustup/toolchain/bin/rustc -vV | sed -n 's/^host: //p; s/^release: //p' | tac | paste -sd -) \
    && mkdir /usr/local/rustup/toolchains && ln -s ../toolchain /usr/local/rustup/toolchains/$name && rustup default $name
