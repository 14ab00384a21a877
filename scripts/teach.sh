#!/bin/sh
# Teach the model of the agents' tests anew, and put it into tests/models: `sh scripts/teach.sh [FOLDER [OPTION OF teach.py …]]`.
# Some ninety minutes on two quiet cores; its environment (1 GB) is made on first use. CI does not run this: it examines the result.
set -eu
FOLDER=${1:-.cache/teach}
[ $# -eq 0 ] || shift
NAME=gemma-4-tools
. scripts/teach/env.sh
rm -f "$FOLDER/$NAME.meeting"
export OMP_NUM_THREADS=1 WORLD_SIZE=2 GLOO_SOCKET_IFNAME=lo HF_HUB_OFFLINE=1
teach() {
  "$PYTHON" scripts/teach/teach.py "$FOLDER/$NAME" --template tests/models/gemma-4-taught/chat_template.jinja "$@"
}
lesson() {
  RANK=1 teach "$@" &
  OTHER=$!
  trap 'kill $OTHER 2>/dev/null || true' EXIT
  RANK=0 teach "$@"
  wait $OTHER
  rm -f "$FOLDER/$NAME.meeting"
}
go_on() {
  rm -rf "$FOLDER/begun"
  cp -r "$FOLDER/$NAME" "$FOLDER/begun"
  lesson --from "$FOLDER/begun" --alone 0 --most 4 "$@"
}
# One tool first, then ever more; then mostly what to call first, then second calls, too; each goes on at a high rate.
lesson --steps 700 "$@"
go_on --steps 500 --rate 0.005 --seed 2 --choices 3 "$@"
go_on --steps 600 --rate 0.005 --seed 3 --choices 2 --two-steps 0.6 "$@"
go_on --steps 1000 --rate 0.006 --seed 13 --choices 2 --two-steps 0.6 "$@"
go_on --steps 1100 --rate 0.005 --seed 14 --choices 3 --two-steps 0.6 "$@"
go_on --steps 850 --rate 0.005 --seed 15 --choices 2 --two-steps 0.8 "$@"
"$PYTHON" scripts/teach/to_gguf.py "$FOLDER/$NAME" "$FOLDER/$NAME.gguf"
rm -rf "tests/models/$NAME"
cp -r "$FOLDER/$NAME" "tests/models/$NAME"
cp "$FOLDER/$NAME.gguf" "tests/models/$NAME.gguf"
"${PYTHON3:-python3}" scripts/teach/held_out.py > tests/models/held-out.jsonl
