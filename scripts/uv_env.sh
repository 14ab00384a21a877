#!/bin/sh
# Make or update the environment $1 with uv.
set -eu
STAMP="$1/homeport-$(cksum < locks/uv.txt | cut -d' ' -f1)"
if [ ! -f "$STAMP" ]; then
  echo "setting up $1 (some seconds)"
  "${PYTHON:-python3}" -m venv "$1"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt
  touch "$STAMP"
fi
