# The life of a PostgreSQL cluster of one test run: made, served on loopback, and removed when standard input closes, which
# is when the test process ends, in whatever way. Prints its port once it answers. Run as a user who is not root.
set -eu
trap '' INT
bin=$(dirname "$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)")
# Debian's initdb on PATH may be a wrapper; the real one lies beside its server.
[ -x "$bin/postgres" ] || bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
folder=$(mktemp -d "${TMPDIR:-/tmp}/fluxhls-postgresql.XXXXXX")
cd "$folder"
finish() {
  "$bin/pg_ctl" stop -s -D data -m immediate || true
  cd /
  rm -rf "$folder"
}
trap finish EXIT
"$bin/initdb" -D data -U fluxhls -A trust -E UTF8 --locale=C --no-sync >initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
# Another process may take a port between the moment it was found free and the moment it is used.
for port in $(shuf -i 20000-29999 -n 20); do
  if "$bin/pg_ctl" start -s -w -D data -l server.log \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_connections=300" 2>pg_ctl.log
  then
    echo "$port"
    exec >/dev/null
    cat >/dev/null
    exit 0
  fi
done
cat pg_ctl.log server.log >&2
exit 1
