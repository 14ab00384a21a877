#!/bin/sh
# What `make demo` does, with the commands that a user would type.
set -eu
cd "$1"

say() { printf '\n$ %s\n' "$*"; }

[ -f homeport.toml ] || { say homeport init; homeport init; }
say homeport up
homeport up --yes || {
    code=$?
    [ "$code" -eq 16 ] || exit "$code" # 16: the port is taken
    say homeport up --port 0
    homeport up --yes --port 0
}
say 'homeport chat "What is the capital of France?"'
homeport chat "What is the capital of France?"
cat <<END

It goes on running. Try, from any folder:
  . $(dirname "$(command -v homeport)")/activate    so that \`homeport\` is found
  homeport chat                       a conversation
  eval "\$(homeport env)"              any OpenAI client finds it
  homeport status · logs · verify · down
END
