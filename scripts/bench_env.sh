#!/bin/sh
# Make the environments below $1 of the load generators that homeport's is compared with, besides vLLM's.
set -eu
make_env() {
  if [ ! -f "$1/homeport-$3" ]; then
    echo "setting up $1 (minutes)"
    rm -rf "$1"
    "${PYTHON:-python3}" -m venv "$1"
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check "$2==$3"
    touch "$1/homeport-$3"
  fi
}
make_env "$1/aiperf" aiperf 0.13.0
