#!/bin/bash
# Makes the system tables in /var/lib/mysql if there are none, then becomes the server. Root changes to the user mysql.
set -euo pipefail

data=/var/lib/mysql
socket=/run/mysqld/mysqld.sock

# MARIADB_x or MYSQL_x, or the contents of the file that MARIADB_x_FILE or MYSQL_x_FILE names.
value() {
  local prefix name file
  for prefix in MARIADB MYSQL; do
    name="${prefix}_$1" file="${prefix}_$1_FILE"
    if [ -n "${!file:-}" ]; then cat "${!file}"; return; fi
    if [ -n "${!name:-}" ]; then printf %s "${!name}"; return; fi
  done
}

quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g")"; }

sql() { mariadb --protocol=socket --socket="$socket" -uroot "$@"; }

initialise() {
  local password host user database
  password=$(value ROOT_PASSWORD)
  host=$(value ROOT_HOST)
  user=$(value USER)
  database=$(value DATABASE)
  if [ -z "$password" ] && [ -n "$(value RANDOM_ROOT_PASSWORD)" ]; then
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    echo "GENERATED ROOT PASSWORD: $password"
  fi
  if [ -z "$password" ] && [ -z "$(value ALLOW_EMPTY_ROOT_PASSWORD)$(value ALLOW_EMPTY_PASSWORD)" ]; then
    echo "The database has no password: set MARIADB_ROOT_PASSWORD, MARIADB_RANDOM_ROOT_PASSWORD or MARIADB_ALLOW_EMPTY_ROOT_PASSWORD." >&2
    exit 1
  fi
  mariadb-install-db --datadir="$data" --auth-root-authentication-method=normal --skip-test-db >/dev/null

  mariadbd --skip-networking --socket="$socket" &
  local server=$! tries=0
  until sql -e 'SELECT 1' >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$server" 2>/dev/null; then
      echo "The server that sets up the database doesn't answer." >&2
      exit 1
    fi
    sleep 0.1
  done
  {
    # Accounts without a password for this container's name of today.
    echo "DELETE FROM mysql.global_priv WHERE Host <> 'localhost';"
    echo "FLUSH PRIVILEGES;"
    [ -z "$database" ] || echo "CREATE DATABASE IF NOT EXISTS \`$database\`;"
    if [ -n "$user" ]; then
      echo "CREATE USER $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$(value PASSWORD)");"
      [ -z "$database" ] || echo "GRANT ALL ON \`$database\`.* TO $(quoted "$user")@'%';"
    fi
    echo "CREATE USER root@$(quoted "${host:-%}") IDENTIFIED BY $(quoted "$password");"
    echo "GRANT ALL ON *.* TO root@$(quoted "${host:-%}") WITH GRANT OPTION;"
    echo "ALTER USER root@localhost IDENTIFIED BY $(quoted "$password");"
  } | sql
  export MYSQL_PWD=$password
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) . "$file" ;;
      *.sql) sql ${database:+"$database"} <"$file" ;;
      *.sql.gz) gunzip -c "$file" | sql ${database:+"$database"} ;;
    esac
  done
  unset MYSQL_PWD
  kill "$server"
  wait "$server"
}

[ "${1:0:1}" = - ] && set -- mariadbd "$@"
[ "$1" = mysqld ] && shift && set -- mariadbd "$@"
if [ "$1" = mariadbd ]; then
  if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data" /run/mysqld
    find "$data" /run/mysqld \! -user mysql -exec chown mysql: {} +
    exec setpriv --reuid=mysql --regid=mysql --init-groups "$0" "$@"
  fi
  [ -d "$data/mysql" ] || initialise
fi
exec "$@"
