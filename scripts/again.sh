#!/bin/sh
# Run a command that fetches something; where it fails, twice more: an index may be slow, or gone for a moment.
set -u
for pause in 5 30; do
  "$@" && exit 0
  echo "it failed, and is tried again in $pause s: $*" >&2
  sleep "$pause"
done
exec "$@"
