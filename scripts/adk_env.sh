#!/bin/sh
# Make or update the environment $1 with Google's ADK and OpenAI's agents (which want another `openai` than homeport's
# extra `agents` does), beside homeport without extras.
set -eu
STAMP="$1/homeport-$(cat locks/adk.txt pyproject.toml | cksum | cut -d' ' -f1)"
if [ ! -f "$STAMP" ]; then
  uv="$(dirname "$1")/uv"
  sh scripts/locked_env.sh "$uv" locks/uv.txt
  echo "setting up $1 (some seconds)"
  export UV_SYSTEM_CERTS=1 # as pip does
  rm -rf "$1"
  "${PYTHON:-python3}" -m venv --without-pip "$1"
  # uv is quicker, and needs no pip there; pip knows an index that only pip was told of.
  if ! { "$uv/bin/uv" pip install --quiet --python "$1/bin/python" -r locks/adk.txt &&
    "$uv/bin/uv" pip install --quiet --python "$1/bin/python" --constraint locks/adk.txt --editable .; }; then
    "$1/bin/python" -m ensurepip > /dev/null
    sh scripts/again.sh "$1/bin/python" -m pip install --quiet --disable-pip-version-check -r locks/adk.txt
    sh scripts/again.sh "$1/bin/python" -m pip install --quiet --disable-pip-version-check --constraint locks/adk.txt --editable .
  fi
  touch "$STAMP"
fi
