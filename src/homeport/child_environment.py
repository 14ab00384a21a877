"""
Which variables a program that homeport starts takes from homeport's own environment.

An engine gets those on a list, and nothing else: `COMMON` and what the engine itself names. A tool of the user's
(pip, gcloud) gets all but secrets that are not its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

COMMON = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL"),
    *("LANG", "LANGUAGE", "LC_*", "TZ", "TZDIR"),
    *("TMPDIR", "TMP", "TEMP", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"),
    *("CUDA_*", "NVIDIA_*", "HSA_*", "ROCR_*", "HIP_*", "GPU_DEVICE_ORDINAL", "GPU_MAX_*"),
    *("OMP_*", "GOMP_*", "KMP_*", "MKL_*", "OPENBLAS_*"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
"""What every engine takes: where programs and files are, languages, devices, threads."""
PYTHON = ("PYTHON*", "VIRTUAL_ENV", "CONDA_PREFIX")
"""What an engine takes, besides, that runs in Python."""
PROXIES = tuple(
    name
    for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    for name in (upper, upper.lower())
)
"""What an engine takes, besides, that fetches its own weights."""

_SECRET_WORDS = frozenset(
    [
        "APIKEY",
        "AUTH",
        "AUTHORIZATION",
        "BEARER",
        "CREDENTIAL",
        "CREDENTIALS",
        "JWT",
        "KEY",
        "PASSPHRASE",
        "PASSWD",
        "PASSWORD",
        "PAT",
        "PWD",
        "SECRET",
        "SECRETS",
        "TOKEN",
    ]
)
_NO_SECRET = frozenset({"PWD", "OLDPWD"})


def inherited(
    wanted: Iterable[str], *, without: Iterable[str] = (), env: Mapping[str, str] | None = None
) -> dict[str, str]:
    """
    Return the variables of `env` (by default the process's own) that `COMMON` or `wanted` name.

    Both are names or patterns such as `CUDA_*`. A pattern never takes a variable whose name says that it holds a
    secret, such as `VLLM_API_KEY`; what is named in `without` is never taken.
    """
    patterns, never = (*COMMON, *wanted), frozenset(without)
    return {
        name: value
        for name, value in (os.environ if env is None else env).items()
        if name not in never and any(_takes(pattern, name) for pattern in patterns)
    }


def without_secrets(env: Mapping[str, str], *, own: Iterable[str] = ()) -> dict[str, str]:
    """Return `env` without the variables whose name says that they hold a secret, except for those that `own` names."""
    own_patterns = tuple(own)
    return {
        name: value
        for name, value in env.items()
        if not names_secret(name) or any(fnmatchcase(name, pattern) for pattern in own_patterns)
    }


def names_secret(name: str) -> bool:
    """
    Return True if a variable's name says that it holds a secret: one of its words is KEY, TOKEN, PASSWORD or
    the like.
    """
    return name not in _NO_SECRET and not _SECRET_WORDS.isdisjoint(name.upper().split("_"))


def _takes(pattern: str, name: str) -> bool:
    if "*" not in pattern:
        return pattern == name
    return fnmatchcase(name, pattern) and not names_secret(name)
