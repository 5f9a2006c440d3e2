# moto (PyPI) in the place of SeaweedFS, and the command line of AWS beside it.
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
COPY --from=certificates ca-certificates.crt /etc/ssl/this-machine.crt
RUN python3 -m venv /opt/moto \
    && /opt/moto/bin/pip install --no-cache-dir --cert /etc/ssl/this-machine.crt 'moto[server]==5.2.5' awscli
ENV PATH=/opt/moto/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY s3.py /usr/local/bin/
ENTRYPOINT ["python", "/usr/local/bin/s3.py"]
