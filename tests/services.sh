# Sourced: PostgreSQL, Redis and MariaDB for the tests. What is named by OMNI_TEST_POSTGRES_URL,
# OMNI_TEST_REDIS_URL and OMNI_TEST_MYSQL_URL is used; else what answers on loopback; else they are
# installed from Debian's packages and started for this run alone, in a directory that goes away with it.

services_dir=

answers() { # answers PORT: does anybody listen there on loopback?
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

as_postgres() { # initdb and postgres refuse to run as root
  if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

stop_services() {
  [ -n "$services_dir" ] || return 0
  [ -f "$services_dir/pg/postmaster.pid" ] && kill -INT "$(head -1 "$services_dir/pg/postmaster.pid")" 2>/dev/null
  [ -f "$services_dir/redis.pid" ] && kill "$(cat "$services_dir/redis.pid")" 2>/dev/null
  [ -f "$services_dir/mariadb.pid" ] && kill "$(cat "$services_dir/mariadb.pid")" 2>/dev/null
  rm -rf "$services_dir"
}

make_services_dir() {
  [ -z "$services_dir" ] || return 0
  services_dir=$(mktemp -d)
  trap stop_services EXIT
  chmod 755 "$services_dir"
}

pg_bin() { # the directory of initdb and postgres, installed if need be
  local found
  found=$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)
  if [ -z "$found" ]; then
    apt_install postgresql >&2
    found=$(ls -d /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
  fi
  dirname "$found"
}

start_postgres() {
  make_services_dir
  local bin port
  bin=$(pg_bin)
  port=$(free_port)
  mkdir "$services_dir/pg"
  [ "$(id -u)" != 0 ] || chown postgres "$services_dir/pg"
  as_postgres "$bin/initdb" -U postgres -A trust --no-sync --locale=C --encoding=UTF8 -D "$services_dir/pg" >/dev/null
  as_postgres "$bin/postgres" -D "$services_dir/pg" -h 127.0.0.1 -p "$port" -k "$services_dir/pg" -c fsync=off >"$services_dir/pg.log" 2>&1 &
  for _ in $(seq 100); do
    if as_postgres "$bin/psql" -U postgres -h 127.0.0.1 -p "$port" -c 'SELECT 1' >/dev/null 2>&1; then
      export OMNI_TEST_POSTGRES_URL="postgres://postgres@127.0.0.1:$port/postgres"
      return 0
    fi
    sleep 0.2
  done
  echo "PostgreSQL did not start:" >&2
  cat "$services_dir/pg.log" >&2
  return 1
}

start_redis() {
  make_services_dir
  local port
  have redis-server || apt_install redis-server
  port=$(free_port)
  redis-server --daemonize yes --bind 127.0.0.1 --port "$port" --save '' --appendonly no \
    --dir "$services_dir" --pidfile "$services_dir/redis.pid" --logfile "$services_dir/redis.log"
  for _ in $(seq 100); do
    if answers "$port"; then
      export OMNI_TEST_REDIS_URL="redis://127.0.0.1:$port"
      return 0
    fi
    sleep 0.1
  done
  echo "Redis did not start:" >&2
  cat "$services_dir/redis.log" >&2
  return 1
}

mariadb_program() { # mariadb_program NAME: where it is; servers stand where users do not look
  command -v "$1" || { [ -x "/usr/sbin/$1" ] && echo "/usr/sbin/$1"; }
}

need_mariadb() { # installed, but not started: Debian's package would start one of its own
  if mariadb_program mariadbd >/dev/null && have mariadb-install-db && have mariadb; then return; fi
  local policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then apt_install mariadb-server; return; fi
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod +x "$policy"
  apt_install mariadb-server
  as_root rm -f "$policy"
}

start_mariadb() {
  make_services_dir
  local port user
  need_mariadb
  port=$(free_port)
  user=$(id -un)
  mariadb-install-db --no-defaults --user="$user" --datadir="$services_dir/mariadb" \
    --auth-root-authentication-method=normal --skip-test-db >"$services_dir/mariadb.log" 2>&1
  "$(mariadb_program mariadbd)" --no-defaults --user="$user" --datadir="$services_dir/mariadb" --bind-address=127.0.0.1 \
    --port="$port" --socket="$services_dir/mariadb.sock" --pid-file="$services_dir/mariadb.pid" \
    --innodb-flush-log-at-trx-commit=0 >>"$services_dir/mariadb.log" 2>&1 &
  for _ in $(seq 100); do
    if mariadb_answers "$port"; then
      export OMNI_TEST_MYSQL_URL="mysql://root@127.0.0.1:$port/mysql"
      return 0
    fi
    sleep 0.2
  done
  echo "MariaDB did not start:" >&2
  cat "$services_dir/mariadb.log" >&2
  return 1
}

mariadb_answers() { # mariadb_answers PORT: does one there let root in without a password?
  answers "$1" && have mariadb &&
    mariadb --no-defaults --connect-timeout=5 -h 127.0.0.1 -P "$1" -u root --skip-password -e 'SELECT 1' >/dev/null 2>&1
}

postgres_on_loopback() { # one that lets the user postgres in without a password
  answers 5432 || return 1
  local psql
  psql=$(command -v psql || ls /usr/lib/postgresql/*/bin/psql 2>/dev/null | tail -n 1)
  [ -n "$psql" ] && PGCONNECT_TIMEOUT=5 "$psql" -w -U postgres -h 127.0.0.1 -c 'SELECT 1' postgres >/dev/null 2>&1
}

if [ -z "${OMNI_TEST_POSTGRES_URL:-}" ]; then
  if postgres_on_loopback; then
    export OMNI_TEST_POSTGRES_URL=postgres://postgres@127.0.0.1:5432/postgres
  else
    start_postgres
  fi
fi
if [ -z "${OMNI_TEST_REDIS_URL:-}" ]; then
  if answers 6379; then export OMNI_TEST_REDIS_URL=redis://127.0.0.1:6379; else start_redis; fi
fi
if [ -z "${OMNI_TEST_MYSQL_URL:-}" ]; then
  if mariadb_answers 3306; then export OMNI_TEST_MYSQL_URL=mysql://root@127.0.0.1:3306/mysql; else start_mariadb; fi
fi
need_mariadb # tests start one of their own too
# For tests that stop a PostgreSQL of their own in the middle.
OMNI_TEST_POSTGRES_BIN=${OMNI_TEST_POSTGRES_BIN:-$(pg_bin)}
export OMNI_TEST_POSTGRES_BIN
