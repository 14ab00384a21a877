#!/bin/sh
# Make below the folder $1 an environment for each client that is named after it, as pinned in locks/clients.
set -eu
INTO=$1
shift
sh scripts/locked_env.sh "$INTO/uv" locks/uv.txt
uv="$INTO/uv/bin/uv"
export UV_SYSTEM_CERTS=1 # as pip does
begun=''

# End what was begun in the background, and all below it, when this script ends before it: npm hears nothing of Ctrl-C there.
end() {
  below=$(ps -A -o pid= -o ppid= 2> /dev/null | awk -v of="$1" '$2 == of { print $1 }')
  kill "$1" 2> /dev/null || true
  for one in $below; do (end "$one"); done
}
trap 'for one in $begun; do end "$one"; done' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Fill an environment of Python. uv is quicker, and needs no pip there; pip knows an index that only pip was told of.
from_pypi() {
  "${PYTHON:-python3}" -m venv --without-pip "$INTO/$1"
  "$uv" pip install --quiet --no-deps --python "$INTO/$1/bin/python" -r "$2" && return
  "$INTO/$1/bin/python" -m ensurepip > /dev/null
  sh scripts/again.sh "$INTO/$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$2"
}

from_npm() {
  mkdir -p "$INTO/$1" &&
    cp "locks/clients/$1/package.json" "$2" "$INTO/$1" &&
    sh scripts/again.sh npm ci --silent --no-audit --no-fund --no-update-notifier --prefix "$INTO/$1"
}

for name in "$@"; do
  pinned="locks/clients/$name" from=from_pypi
  if [ -d "$pinned" ]; then pinned="$pinned/package-lock.json" from=from_npm; else pinned="$pinned.txt"; fi
  stamp="$INTO/$name/homeport-$(cksum < "$pinned" | cut -d' ' -f1)"
  [ -f "$stamp" ] && continue
  if [ "$from" = from_npm ] && ! command -v npm > /dev/null; then
    echo "test-clients: no npm here, so $name is NOT run" >&2
    continue
  fi
  echo "setting up $INTO/$name"
  rm -rf "${INTO:?}/$name"
  if [ "$from" = from_npm ]; then
    # npm waits for its index while uv unpacks.
    { from_npm "$name" "$pinned" && touch "$stamp"; } &
    begun="$begun $!"
  else
    from_pypi "$name" "$pinned"
    touch "$stamp"
  fi
done
for one in $begun; do wait "$one"; done
begun=''
