# What mmdebstrap makes of Debian's archive.
FROM scratch
ADD debian.tar /
COPY --from=files apt.conf /etc/apt/apt.conf.d/
CMD ["bash"]
