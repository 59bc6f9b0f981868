#!/bin/sh
# Runs what lies in /docker-entrypoint.d, fills in templates, then becomes the command.
set -e

if [ "$1" = nginx ]; then
  for file in /docker-entrypoint.d/*.sh; do
    [ -x "$file" ] && "$file"
  done
  for template in /etc/nginx/templates/*.template; do
    [ -f "$template" ] || continue
    name=$(basename "$template" .template)
    variables=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/${\1}/p' | tr '\n' ' ')
    envsubst "$variables" <"$template" >"/etc/nginx/conf.d/$name"
  done
fi
exec "$@"
