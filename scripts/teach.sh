#!/bin/sh
# Teach the model of the agents' tests anew, and put it into tests/models: `sh scripts/teach.sh [FOLDER [OPTION OF teach.py …]]`.
# It takes some 28 minutes of two cores with AVX-512. Examine what it teaches before you keep it: another CPU rounds
# otherwise, and so teaches another model (tests/models/README.md). It wants a C++ compiler (`--eager` does without, and
# takes longer); its environment (1 GB) is made on first use. CI does not run this: it examines what is kept.
set -eu
FOLDER=${1:-.cache/teach}
[ $# -eq 0 ] || shift
NAME=gemma-4-tools
. scripts/teach/env.sh
rm -f "$FOLDER/$NAME.meeting"
# The allocator keeps what it has, also what is large and what the thread of the gradients frees: else each step asks the
# kernel for the same memory anew, which took a sixth of the time. 32 MiB is the most that glibc takes.
export MALLOC_TRIM_THRESHOLD_=1073741824 MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_ARENA_MAX=1 OMP_NUM_THREADS=1 WORLD_SIZE=2 GLOO_SOCKET_IFNAME=lo HF_HUB_OFFLINE=1
teach() {
  "$PYTHON" scripts/teach/teach.py "$FOLDER/$NAME" --template tests/models/gemma-4-taught/chat_template.jinja "$@"
}
RANK=1 teach "$@" &
OTHER=$!
trap 'kill $OTHER 2>/dev/null || true' EXIT
RANK=0 teach "$@"
wait $OTHER
rm -f "$FOLDER/$NAME.meeting"
"$PYTHON" scripts/teach/to_gguf.py "$FOLDER/$NAME" "$FOLDER/$NAME.gguf"
rm -rf "tests/models/$NAME"
cp -r "$FOLDER/$NAME" "tests/models/$NAME"
cp "$FOLDER/$NAME.gguf" "tests/models/$NAME.gguf"
"${PYTHON3:-python3}" scripts/teach/held_out.py > tests/models/held-out.jsonl
