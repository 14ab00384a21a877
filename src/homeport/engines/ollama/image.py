"""Ollama's image: its makers' own, with one model in it."""

from __future__ import annotations

import shlex

from homeport.engines.image import (
    MODEL_FILE,
    Gguf,
    ImageContents,
    Recipe,
    beside,
    copies,
    entries,
    without_weights,
)


def recipe(contents: ImageContents) -> Recipe:
    """
    Return the recipe of Ollama with one model in it: a tag of Ollama's library, or a GGUF of one's own.

    Without weights, which others have put in already, there is nothing to build. Else the build asks the server until it answers, brings the model, has it shown and loads it once.
    """
    weights, model_name = contents.weights, contents.model_name
    if weights is None:
        return without_weights("ollama", contents)
    own = isinstance(weights, Gguf)
    known_as = weights.digest if isinstance(weights, Gguf) else f"ollama:{weights}"
    labels = {"homeport.engine": "ollama", "homeport.model": model_name, "homeport.weights": known_as}
    labels |= {"homeport.gguf": MODEL_FILE} if own else {}
    placed = beside(contents.files)
    lines = [
        f"FROM {contents.base}",
        *entries("LABEL", labels),
        # The model lies where no volume and no home directory hides it, and nothing of it is removed at a start.
        *entries("ENV", {"OLLAMA_MODELS": "/models/ollama", "OLLAMA_NOPRUNE": "1"}),
        "COPY bake.sh Modelfile /models/",
        *([f"COPY model.gguf {MODEL_FILE}"] if own else []),
        "RUN sh /models/bake.sh",
        # What is for serving comes after the model is made, so that another script does not make it again.
        *copies(placed),
    ]
    source = MODEL_FILE if own else str(weights)
    return Recipe(
        dockerfile="".join(f"{line}\n" for line in lines),
        files={
            "bake.sh": _bake(model_name, "" if own else str(weights)),
            "Modelfile": f"FROM {source}\n",
            **{path: contents.files[target] for path, target in placed.items()},
        },
        base=contents.base,
        labels=labels,
        gguf=weights if isinstance(weights, Gguf) else None,
        loads=contents.weights_bytes or None,
    )


def _bake(model_name: str, tag: str) -> str:
    """Return the script that makes the model while the image is built. Every command's failure is the build's."""
    name, pull = shlex.quote(model_name), f"ollama pull {shlex.quote(tag)}\n" if tag else ""
    return f"""#!/bin/sh
set -eu
log=$(mktemp)
ollama serve >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || :; tail -n 40 "$log"' EXIT
asked=0
until ollama list >/dev/null 2>&1; do
  kill -0 "$server"
  asked=$((asked + 1))
  [ "$asked" -lt 600 ]
  sleep 0.2
done
{pull}ollama create {name} -f /models/Modelfile
ollama show {name}
# An empty prompt loads the model, and says nothing.
ollama run {name} '' </dev/null
ollama stop {name}
kill "$server"
wait "$server" || true
trap - EXIT
rm -f "$log"
"""
