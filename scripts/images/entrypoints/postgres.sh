#!/bin/bash
# Makes a database cluster in $PGDATA if there is none, then becomes the server. Root changes to the user postgres.
set -euo pipefail

# VARIABLE, or the contents of the file that VARIABLE_FILE names, or a default.
value() {
  local file="${1}_FILE"
  if [ -n "${!file:-}" ]; then cat "${!file}"; else printf %s "${!1:-${2:-}}"; fi
}

initialise() {
  local user password method database
  user=$(value POSTGRES_USER postgres)
  password=$(value POSTGRES_PASSWORD)
  database=$(value POSTGRES_DB "$user")
  method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [ -z "$password" ] && [ "$method" != trust ]; then
    echo "The database has no password: set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust to let everybody in." >&2
    exit 1
  fi
  initdb --username="$user" --encoding=UTF8 ${password:+--pwfile=<(printf '%s\n' "$password")} ${POSTGRES_INITDB_ARGS:-}
  echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
  echo "host all all all $method" >>"$PGDATA/pg_hba.conf"

  export PGUSER=$user PGHOST=/run/postgresql
  local files=(/docker-entrypoint-initdb.d/*)
  if [ "$database" != postgres ] || [ -e "${files[0]}" ]; then
    PGPASSWORD=$password pg_ctl -w -o "-c listen_addresses=''" start
    [ "$database" = postgres ] || PGPASSWORD=$password createdb "$database"
    for file in "${files[@]}"; do
      case "$file" in
        *.sh) . "$file" ;;
        *.sql) PGPASSWORD=$password psql -v ON_ERROR_STOP=1 -d "$database" -f "$file" ;;
        *.sql.gz) gunzip -c "$file" | PGPASSWORD=$password psql -v ON_ERROR_STOP=1 -d "$database" ;;
      esac
    done
    pg_ctl -w -m fast stop
  fi
  unset PGUSER PGHOST
}

[ "${1:0:1}" = - ] && set -- postgres "$@"
if [ "$1" = postgres ]; then
  if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    find "$PGDATA" \! -user postgres -exec chown postgres: {} +
    chmod 0700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
  fi
  [ -s "$PGDATA/PG_VERSION" ] || initialise
fi
exec "$@"
