# The life of a PostgreSQL cluster of one test: made, served on loopback, and removed when standard input closes, which
# is when the test process ends, in whatever way. Prints its port once it answers; then, for every line `kill` or `start` on
# standard input, kills the server as `kill -9` does or starts it again over the same data, and prints the word when that is done.
# Run as a user who is not root. CLUSTER_PASSWORD, CLUSTER_CERTIFICATE and CLUSTER_KEY say what it demands.
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
launch() {
  "$bin/pg_ctl" start -s -w -D data -l server.log \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c timezone=UTC -c max_connections=300" 2>pg_ctl.log \
    </dev/null >&2
}
runs() { [ -r "/proc/$1/status" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status"; }
murder() {
  pid=$(head -n 1 data/postmaster.pid)
  kill -9 "$pid"
  while runs "$pid"; do sleep 0.02; done
}
# A server refuses to start while backends of the killed one still hold its memory, or while the process id it left belongs to
# anybody, were it to a process nobody has reaped yet.
revive() {
  for _ in $(seq 100); do
    runs "$(head -n 1 data/postmaster.pid)" || rm -f data/postmaster.pid
    ! launch || return 0
    sleep 0.1
  done
  cat pg_ctl.log server.log >&2
  exit 1
}
serve() {
  echo "$port"
  while read -r order; do
    case $order in
      kill) murder ;;
      start) revive ;;
    esac
    echo "$order"
  done
}
# Another process may take a port between the moment it was found free and the moment it is used.
for port in $(shuf -i 20000-29999 -n 20); do
  if launch; then
    serve
    exit 0
  fi
done
cat pg_ctl.log server.log >&2
exit 1
