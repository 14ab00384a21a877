#!/bin/sh
# Make the environment $1 with what drives a browser, and see that Debian's Chromium is there; exit with 3 where it cannot be had.
set -eu
if ! command -v chromium > /dev/null; then
  echo "installing chromium"
  { apt-get -o Acquire::Retries=5 update && apt-get -o Acquire::Retries=5 install --yes --no-install-recommends chromium; } > /dev/null 2>&1 || {
    echo "there is no chromium, and apt cannot install it" >&2
    exit 3
  }
fi
sh scripts/locked_env.sh "$1" locks/browser.txt
