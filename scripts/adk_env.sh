#!/bin/sh
# Make or update the environment $1 with Google's ADK and OpenAI's agents (which want another `openai` than homeport's
# extra `agents` does), beside homeport without extras.
set -eu
STAMP="$1/homeport-$(cat locks/adk.txt pyproject.toml | cksum | cut -d' ' -f1)"
if [ ! -f "$STAMP" ]; then
  echo "setting up $1 (about a minute)"
  "${PYTHON:-python3}" -m venv "$1"
  sh scripts/again.sh "$1/bin/python" -m pip install --quiet --disable-pip-version-check -r locks/adk.txt
  sh scripts/again.sh "$1/bin/python" -m pip install --quiet --disable-pip-version-check --constraint locks/adk.txt --editable .
  touch "$STAMP"
fi
