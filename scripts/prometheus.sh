#!/bin/sh
# Puts Debian's Prometheus and promtool into a folder, unless they are there or on the PATH. Installs nothing.
set -eu
folder=$1
if command -v prometheus > /dev/null && command -v promtool > /dev/null; then exit 0; fi
if [ -x "$folder/usr/bin/promtool" ]; then exit 0; fi
if ! command -v apt-get > /dev/null; then
  echo "make test-observe needs prometheus and promtool on the PATH, or apt-get to fetch them" >&2
  exit 1
fi
mkdir -p "$folder"
cd "$folder"
apt-get -o Acquire::Retries=5 download prometheus > /dev/null 2>&1 ||
  { apt-get -o Acquire::Retries=5 update -qq && apt-get -o Acquire::Retries=5 download prometheus; }
for package in prometheus_*.deb; do dpkg-deb -x "$package" .; done
rm -f prometheus_*.deb
usr/bin/promtool --version > /dev/null 2>&1
