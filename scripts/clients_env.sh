#!/bin/sh
# Make below the folder $1 an environment for each client that is named after it, as pinned in locks/clients.
set -eu
INTO=$1
shift
sh scripts/locked_env.sh "$INTO/uv" locks/uv.txt
uv="$INTO/uv/bin/uv"
export UV_SYSTEM_CERTS=1 # as pip does
for name in "$@"; do
  pinned="locks/clients/$name"
  [ -d "$pinned" ] && pinned="$pinned/package-lock.json" || pinned="$pinned.txt"
  stamp="$INTO/$name/homeport-$(cksum < "$pinned" | cut -d' ' -f1)"
  [ -f "$stamp" ] && continue
  echo "setting up $INTO/$name"
  rm -rf "${INTO:?}/$name"
  if [ "${pinned%.json}" = "$pinned" ]; then
    "${PYTHON:-python3}" -m venv "$INTO/$name"
    # uv is quicker; pip knows an index that only pip was told of.
    "$uv" pip install --quiet --no-deps --python "$INTO/$name/bin/python" -r "$pinned" ||
      sh scripts/again.sh "$INTO/$name/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$pinned"
  elif command -v npm > /dev/null; then
    mkdir -p "$INTO/$name"
    cp "locks/clients/$name/package.json" "$pinned" "$INTO/$name"
    sh scripts/again.sh npm ci --silent --no-audit --no-fund --no-update-notifier --prefix "$INTO/$name"
  else
    echo "test-clients: no npm here, so $name is NOT run" >&2
    continue
  fi
  touch "$stamp"
done
