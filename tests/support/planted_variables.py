"""Variables that no program has any business with, as somebody may have set them."""

from __future__ import annotations

PLANTED = {
    "OPENAI_API_KEY": "sk-planted-openai",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/planted",
    "VLLM_API_KEY": "sk-planted-vllm",
    "LLAMA_API_KEY": "sk-planted-llama",
    "LLAMA_ARG_HOST": "planted.example",
    "OLLAMA_API_KEY": "sk-planted-ollama",
    "OLLAMA_ORIGINS": "planted.example",
    "HF_TOKEN": "hf_planted",
    "AWS_SECRET_ACCESS_KEY": "planted-aws",
    "ANTHROPIC_API_KEY": "sk-planted-other",
    "GOOGLE_APPLICATION_CREDENTIALS": "/planted.json",
    "CLOUDSDK_AUTH_ACCESS_TOKEN": "ya29.planted",
    "CUDA_LICENCE_KEY": "planted-cuda",
    "PYTHON_KEYRING_PASSWORD": "planted-python",
    "DATABASE_URL": "postgres://planted@db",
    "MY_OWN": "sk-planted-own",
    "OMP_PLANTED": "sk-planted-threads",
}
