#!/bin/sh
# Bring npm's inspector of MCP servers, and the published schema of server.json, into the folder $1; say what cannot be had.
set -eu
INSPECTOR=2.12.0
SCHEMA=$(sed -n 's/.*"\$schema": "\(.*\)".*/\1/p' server.json)
mkdir -p "$1"
if ! command -v npm > /dev/null; then
  echo "test-agents: no npm here, so the inspector of MCP is NOT run" >&2
elif [ ! -x "$1/node_modules/.bin/mcp-inspector" ]; then
  sh scripts/again.sh npm install --silent --no-audit --no-fund --no-update-notifier --prefix "$1" "@modelcontextprotocol/inspector@$INSPECTOR" \
    || echo "test-agents: npm cannot bring the inspector, so it is NOT run" >&2
fi
if [ ! -s "$1/server.schema.json" ]; then
  python3 -c 'import sys, urllib.request as u; data = u.urlopen(sys.argv[1], timeout=20).read(); open(sys.argv[2], "wb").write(data)' \
    "$SCHEMA" "$1/server.schema.json" 2> /dev/null \
    || echo "test-agents: $SCHEMA cannot be had, so server.json is NOT checked against it" >&2
fi
