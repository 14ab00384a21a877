#!/bin/bash
# Serves with Ollama, and opens the port of the startup probe once a token came out: serve.sh MODEL.
#
# Ollama answers as soon as it listens, and loads a model when somebody first asks for it. Nothing that a probe can ask
# it with GET waits for that, and it cannot listen later than it starts. So the model is asked for one token here, and
# then a second `ollama serve`, which never loads anything, answers the probe on READY_PORT. Bash asks by itself: the
# image has no curl.
set -eu
model=$1
port=${OLLAMA_HOST##*:}
came='"completion_tokens": *[1-9]'

ollama serve &
server=$!
door=
trap 'kill -TERM "$server" $door 2>/dev/null || :; wait || :' EXIT
trap 'exit 0' TERM INT

ask() {
  local body="{\"model\": \"$model\", \"prompt\": \"Hello\", \"max_tokens\": 1, \"stream\": false}"
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  printf 'POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Type: application/json\r\n' "$port" >&3
  printf 'Content-Length: %d\r\nConnection: close\r\n\r\n%s' "${#body}" "$body" >&3
  cat <&3
}

while :; do
  kill -0 "$server" || exit 1
  answer=$(ask 2>/dev/null) || answer=
  # No status: nobody listens yet. 503: it listens, and cannot be asked yet.
  if [[ $answer =~ ^HTTP/1\.[01]\ ([0-9]+) && ${BASH_REMATCH[1]} != 503 ]]; then
    status=${BASH_REMATCH[1]}
    break
  fi
  sleep 0.2
done
if ! [[ $answer =~ $came ]]; then
  said=${answer##*$'\r\n\r\n'}
  printf 'no token came out of %s: HTTP %s %s\n' "$model" "$status" "${said//[$'\r\n']/ }" >&2
  exit 1
fi
echo "a token came out of $model"
# Its log would only say once more what the first one's says, with another port.
OLLAMA_HOST=${OLLAMA_HOST%:*}:$READY_PORT ollama serve >/dev/null 2>&1 &
door=$!
wait "$server"
