#!/bin/sh
# Make the environments below $1 of the load generators that homeport's is compared with, vLLM's in $2, and the tokenizer that they read.
#
# guidellm loads torch to read its prompts. As in scripts/vllm_env.py it comes by version alone, since its CPU and CUDA
# builds are different files under one version, and pip takes no line without a hash in a file with hashes.
set -eu
sh scripts/locked_env.sh "$1/aiperf" locks/aiperf.txt
sh scripts/locked_env.sh "$1/guidellm" locks/guidellm.txt
if [ ! -d "$(echo "$1"/guidellm/lib/python3*/site-packages/torch-2.13.0*.dist-info)" ]; then
  sh scripts/again.sh "$1/guidellm/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.13.0
fi
sh scripts/again.sh "${PYTHON:-python3}" scripts/vllm_env.py "$2"
weights=$(HOMEPORT_HOME="$PWD/.cache/home" sh scripts/again.sh .venv/bin/homeport --quiet weights fetch smollm2-135m)
"$2/bin/python" scripts/gguf_to_safetensors.py "$weights"/*.gguf .cache/models/smollm2-135m-safetensors
