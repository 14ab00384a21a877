#!/bin/sh
# Make or update the environment $1 with the judges of the exported files: shellcheck, zizmor, hadolint, detect-secrets.
set -eu
STAMP="$1/homeport-$(cksum < locks/judges.txt | cut -d' ' -f1)"
if [ ! -f "$STAMP" ]; then
  echo "setting up $1 (some seconds)"
  "${PYTHON:-python3}" -m venv "$1"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/judges.txt
  touch "$STAMP"
fi
