#!/bin/sh
# Make or update the environment $1 with what the lock file $2 pins, and nothing else.
set -eu
STAMP="$1/homeport-$(cksum < "$2" | cut -d' ' -f1)"
if [ ! -f "$STAMP" ]; then
  echo "setting up $1 (some seconds)"
  "${PYTHON:-python3}" -m venv "$1"
  sh scripts/again.sh "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$2"
  touch "$STAMP"
fi
