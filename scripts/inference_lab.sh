#!/bin/sh
# Bring another simulator of engines from npm, inference-lab, into the folder $1, at one version.
set -eu
LAB=0.2.1
if ! command -v npm > /dev/null || ! command -v node > /dev/null; then
  echo "no npm and node here: inference-lab cannot be asked" >&2
  exit 1
fi
if [ ! -f "$1/homeport-$LAB" ]; then
  mkdir -p "$1"
  sh scripts/again.sh npm install --silent --no-audit --no-fund --no-update-notifier --prefix "$1" "@doublewordai/inference-lab@$LAB"
  touch "$1/homeport-$LAB"
fi
