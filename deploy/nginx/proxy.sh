#!/bin/sh
# nginx with TLS and passwords in front of Dagster's webserver, which has neither.
#
#   proxy.sh password FOLDER USER    ask for the password of a user (or read a line of it), and keep its hash
#   proxy.sh certificate FOLDER      make a certificate for trials, signed by itself, unless there is one
#   proxy.sh configure FOLDER        write FOLDER/nginx.conf
#   proxy.sh run FOLDER              do what is missing of these, and run nginx in the foreground
#
# The folder holds certificate.pem, key.pem, passwords and nginx.conf. From the environment come
#
#   PROXY_LISTEN      127.0.0.1        where to listen: 0.0.0.0 opens it to the network
#   PROXY_HTTPS_PORT  8443
#   PROXY_HTTP_PORT   8080             answers with a redirection to https
#   PROXY_NAME        localhost        the host's name, in the certificate for trials
#   PROXY_WEBSERVER   127.0.0.1:3000   where dagster-webserver listens
#   PROXY_ACCESS_LOG  access.log
#   PROXY_USER, PROXY_PASSWORD         `run` adds this user
#   PROXY_CERTIFICATE, PROXY_KEY       `run` takes this certificate and its key: the text of the PEM files
#   PROXY_NGINX       /usr/sbin/nginx
set -eu

here=$(cd "$(dirname "$0")" && pwd)

fail() {
  echo "proxy.sh: $1" >&2
  exit 1
}

# nginx's workers read the passwords, and run as nobody of importance when root starts them.
worker() {
  if [ "$(id -u)" = 0 ]; then echo www-data; fi
}

password() {
  user=$1
  case $user in
    '' | *[!A-Za-z0-9._@-]*) fail "the user's name is '$user': write it with letters, digits and . _ @ -" ;;
  esac
  if [ -t 0 ]; then
    hash=$(openssl passwd -6)
  else
    IFS= read -r secret || [ -n "$secret" ] || fail "no password on standard input"
    [ -n "$secret" ] || fail "the password of '$user' is empty"
    hash=$(printf '%s\n' "$secret" | openssl passwd -6 -stdin)
  fi
  { grep -v "^$user:" passwords 2>/dev/null || true; printf '%s:%s\n' "$user" "$hash"; } > passwords.new
  chmod 640 passwords.new
  group=$(worker)
  if [ -n "$group" ]; then chgrp "$group" passwords.new; fi
  mv passwords.new passwords
}

certificate() {
  if [ -e certificate.pem ]; then return; fi
  name=${PROXY_NAME:-localhost}
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj "/CN=$name" \
    -addext "subjectAltName=DNS:$name,IP:127.0.0.1" -keyout key.pem -out certificate.pem 2>openssl.log \
    || fail "$(cat openssl.log)"
  rm openssl.log
  chmod 600 key.pem
}

configure() {
  user=$(worker)
  port=${PROXY_HTTPS_PORT:-8443}
  if [ "$port" = 443 ]; then suffix=; else suffix=:$port; fi
  sed -e "s|@USER@|${user:+user $user;}|" \
    -e "s|@ACCESS_LOG@|${PROXY_ACCESS_LOG:-access.log}|" \
    -e "s|@LISTEN@|${PROXY_LISTEN:-127.0.0.1}|" \
    -e "s|@HTTP_PORT@|${PROXY_HTTP_PORT:-8080}|" \
    -e "s|@HTTPS_PORT@|$port|" \
    -e "s|@HTTPS_SUFFIX@|$suffix|" \
    -e "s|@WEBSERVER@|${PROXY_WEBSERVER:-127.0.0.1:3000}|" \
    "$here/nginx.conf" > nginx.conf
  mkdir -p temp
}

run() {
  if [ -n "${PROXY_PASSWORD:-}" ]; then
    printf '%s\n' "$PROXY_PASSWORD" | password "${PROXY_USER:-dagster}"
  fi
  [ -s passwords ] || fail "nobody has a password: proxy.sh password $PWD NAME, or set PROXY_PASSWORD"
  if [ -n "${PROXY_CERTIFICATE:-}" ]; then
    [ -n "${PROXY_KEY:-}" ] || fail "PROXY_CERTIFICATE is set, and PROXY_KEY is not: set both"
    (umask 077 && printf '%s\n' "$PROXY_KEY" > key.pem)
    printf '%s\n' "$PROXY_CERTIFICATE" > certificate.pem
  fi
  certificate
  configure
  user=$(worker)
  if [ -n "$user" ] && ! runuser -u "$user" -- test -r "$PWD/passwords"; then
    fail "nginx reads the passwords as $user, who cannot read $PWD/passwords: take a folder that others may enter"
  fi
  unset PROXY_PASSWORD PROXY_KEY
  exec "${PROXY_NGINX:-/usr/sbin/nginx}" -e stderr -p "$PWD/" -c "$PWD/nginx.conf" -g 'daemon off;'
}

[ $# -ge 2 ] || fail "tell what to do, and the folder: proxy.sh password|certificate|configure|run FOLDER"
what=$1
mkdir -p "$2"
cd "$2"
chmod go+x . # for nginx's workers
case $what in
  password) password "${3:-}" ;;
  certificate | configure | run) "$what" ;;
  *) fail "'$what' is none of password, certificate, configure, run" ;;
esac
