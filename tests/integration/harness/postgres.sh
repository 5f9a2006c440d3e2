# The life of a PostgreSQL cluster of a test: made, served on loopback, started again at each line of standard input, and
# removed when that closes, which is when the test process ends, in whatever way. Prints port and process id each time it
# answers. Run as a user who is not root. CLUSTER_PASSWORD, CLUSTER_CERTIFICATE and CLUSTER_KEY say what it demands.
set -eu
trap '' INT
umask 077
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
auth='-A trust'
if [ -n "${CLUSTER_PASSWORD:-}" ]; then
  printf '%s' "$CLUSTER_PASSWORD" >password
  auth='-A scram-sha-256 --pwfile=password'
fi
"$bin/initdb" -D data -U fluxhls $auth -E UTF8 --locale=C --no-sync >initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
if [ -n "${CLUSTER_CERTIFICATE:-}" ]; then
  printf '%s' "$CLUSTER_CERTIFICATE" >data/server.crt
  printf '%s' "$CLUSTER_KEY" >data/server.key
  echo 'ssl = on' >>data/postgresql.conf
  sed -i 's/^host /hostssl /' data/pg_hba.conf
fi
start() {
  "$bin/pg_ctl" start -s -w -D data -l server.log \
    -o "-p $1 -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_connections=300" 2>pg_ctl.log \
    </dev/null >&2
}
answer() { echo "$1 $(head -n 1 data/postmaster.pid)"; }
# Another process may take a port between the moment it was found free and the moment it is used.
for port in $(shuf -i 20000-29999 -n 20); do
  if start "$port"; then
    answer "$port"
    while read -r _; do
      # What a killed server left may take a moment to go.
      for _ in $(seq 100); do
        if start "$port"; then break; fi
        sleep 0.1
      done
      answer "$port"
    done
    exit 0
  fi
done
cat pg_ctl.log server.log >&2
exit 1
