"""
The child process that is llama.cpp's server; `--help` lists its flags.

A process of its own, since a failed assertion in llama.cpp aborts the process that it is in. It stands alone and
imports nothing of homeport, which would take longer than everything else that happens before the model loads.
"""

from __future__ import annotations

import argparse
import ast
import json
import signal
import sys
import threading
from typing import Any


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    arguments = _parser().parse_args()
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.model_alias = {arguments.alias, *(name for name, _ in arguments.lora)}
    params.hostnames = [arguments.host]
    params.port = arguments.port
    params.n_parallel = arguments.parallel
    # llama.cpp divides n_ctx among its slots; each of ours has the whole context.
    params.n_ctx = arguments.context * arguments.parallel
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = arguments.threads
    params.antiprompt = arguments.stop
    params.endpoint_metrics = True
    # The first request is ours and warms it up; a token is awaited before the endpoint is called ready.
    params.warmup = False
    # Gemma 4's template thinks unless it is told not to, and vLLM's default is not to: the same in both.
    params.enable_reasoning = 0
    params.fit_params = _may_have_to_place(xllamacpp)
    params.ui = False
    # Otherwise every web page that the user visits may ask the engine through their browser.
    params.cors_origins = ""
    params.cors_credentials = False
    # By default up to 8 GiB of old prompts would be kept in memory, which no plan foresees.
    params.cache_ram_mib = 0
    if arguments.kv_dtype:
        kind = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{arguments.kv_dtype.upper()}")
        params.cache_type_k = params.cache_type_v = kind
    if arguments.chat_template:
        with open(arguments.chat_template, encoding="utf-8") as file:  # noqa: PTH123 - pathlib would be loaded for this alone
            params.chat_template = file.read()
    _sampling(params, arguments)
    if arguments.embed:
        _embedding(xllamacpp, params, arguments)
    if arguments.mmproj:
        params.mmproj.path = arguments.mmproj
    params.lora_adapters = [_adapter(xllamacpp, path) for _, path in arguments.lora]
    if arguments.api_key_on_stdin:
        params.api_keys = [json.loads(sys.stdin.readline())["api_key"]]
    for argument in arguments.set:
        _set(params, argument)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = _started(xllamacpp, params)
    stop.wait()
    del server


def _started(xllamacpp: Any, params: Any) -> Any:  # Any: xllamacpp has no types
    try:
        return xllamacpp.Server(params)
    except RuntimeError:
        write_log(xllamacpp.xllamacpp.__file__)
        raise


def write_log(library: str) -> None:
    """
    Return once llama.cpp has written what it had to say: why a model was not loaded would be lost, else.

    It writes in a thread of its own, for which nothing waits where the process ends. A build that does not export these two
    functions, by the names that compilers give them, is left to itself.
    """
    import ctypes

    functions = ctypes.CDLL(library)
    try:
        log, flush = functions["_Z15common_log_mainv"], functions["_Z16common_log_flushP10common_log"]
    except AttributeError:
        return
    log.restype, flush.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    flush(log())


def _parser() -> argparse.ArgumentParser:
    # Of a width that is said: for each flag argparse would load what measures a terminal, to check how it would be shown.
    parser = argparse.ArgumentParser(
        prog="homeport_llamacpp",
        description=__doc__,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100),
    )
    parser.add_argument("--model", required=True, help="a GGUF file")
    parser.add_argument("--alias", required=True, help="the name that it is served under")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--context", type=int, required=True, help="tokens of one request")
    parser.add_argument("--parallel", type=int, required=True, help="requests at once")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--chat-template", help="a Jinja file, instead of the model's own")
    parser.add_argument("--stop", action="append", default=[], help="a string that ends every answer")
    parser.add_argument("--lora", action="append", nargs=2, default=[], metavar=("NAME", "GGUF"))
    parser.add_argument("--mmproj", help="the GGUF file that reads images for the model")
    parser.add_argument("--kv-dtype", choices=["q8_0", "q4_0"], help="how keys and values are kept; else f16")
    parser.add_argument(
        "--embed", choices=["own", "mean", "cls", "last"], help="give vectors, pooled so; else text"
    )
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--top-p", type=float)
    parser.add_argument("--top-k", type=int)
    parser.add_argument("--api-key-on-stdin", action="store_true", help='one line: {"api_key": "…"}')
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="any of its parameters"
    )
    return parser


def _may_have_to_place(xllamacpp: Any) -> bool:  # Any: xllamacpp has no types
    """
    Return False where there is nothing but a processor, on which llama.cpp finds no layers to place and leaves a context that was said as it is.

    To find that out it reads the model once more: for one of a large vocabulary half of the time until it serves.
    """
    kinds = xllamacpp.ggml_backend_dev_type
    without_memory = {kinds.GGML_BACKEND_DEVICE_TYPE_CPU, kinds.GGML_BACKEND_DEVICE_TYPE_ACCEL}
    return any(device["type"] not in without_memory for device in xllamacpp.get_device_info())


def _sampling(params: Any, arguments: argparse.Namespace) -> None:  # Any: xllamacpp has no types
    if arguments.temperature is not None:
        params.sampling.temp = arguments.temperature
    if arguments.top_p is not None:
        params.sampling.top_p = arguments.top_p
    if arguments.top_k is not None:
        params.sampling.top_k = arguments.top_k


def _embedding(
    xllamacpp: Any, params: Any, arguments: argparse.Namespace
) -> None:  # Any: xllamacpp has no types
    params.embedding = True
    # All tokens of a text are pooled together, and so have to be in one batch.
    params.n_batch = params.n_ubatch = arguments.context
    # With a cache for each slot it takes two texts of different lengths apart, and pools a part of one alone: the vector
    # of "Interest rates rose." had a cosine of 0.32 to its own (xllamacpp 2026.10). With one cache for all it does not.
    params.kv_unified = True
    if arguments.embed != "own":
        kind = f"LLAMA_POOLING_TYPE_{arguments.embed.upper()}"
        params.pooling_type = getattr(xllamacpp.llama_pooling_type, kind)


def _adapter(xllamacpp: Any, path: str) -> Any:  # Any: xllamacpp has no types
    adapter = xllamacpp.CommonAdapterLoraInfo()
    adapter.path = path
    adapter.scale = 1.0
    return adapter


def _set(params: Any, argument: str) -> None:  # Any: xllamacpp has no types
    name, _, text = argument.partition("=")
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    *path, last = name.split(".")
    target = params
    for part in path:
        target = getattr(target, part)
    if not hasattr(target, last):
        sys.exit(f"engine.extra_args: llama.cpp has no parameter {name!r}")
    setattr(target, last, value)


if __name__ == "__main__":
    main()
