#!/bin/sh
# Teach the LoRA adapter of the tests anew, and put it into tests/models: `sh scripts/teach_adapter.sh [FOLDER [OPTION …]]`.
# Some minutes on two cores; its environment (1 GB) is made on first use. CI does not run this: it serves the result.
set -eu
FOLDER=${1:-.cache/teach}
[ $# -eq 0 ] || shift
. scripts/teach/env.sh
NAME=gemma-4-tools-adapter
BASE=tests/models/gemma-4-tools
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1
rm -rf "${FOLDER:?}/$NAME"
"$PYTHON" scripts/teach/adapter.py "$BASE" "$FOLDER/$NAME" "$@"
"$PYTHON" scripts/teach/to_gguf.py "$BASE" "$FOLDER/$NAME.gguf" "$FOLDER/$NAME"
rm -rf "tests/models/$NAME"
cp -r "$FOLDER/$NAME" "tests/models/$NAME"
cp "$FOLDER/$NAME.gguf" "tests/models/$NAME.gguf"
