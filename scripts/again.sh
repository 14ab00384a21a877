#!/bin/sh
# Run a command that fetches something; where it fails, twice more: an index may be slow, or gone for a moment.
# AGAIN_PAUSES are the seconds between: a test takes none.
set -u
for pause in ${AGAIN_PAUSES:-5 30}; do
  "$@" && exit 0
  echo "it failed, and is tried again in $pause s (without a network it fails each time; behind a proxy, pip wants HTTPS_PROXY or PIP_INDEX_URL): $*" >&2
  sleep "$pause"
done
exec "$@"
