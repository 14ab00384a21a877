"""
The fields of a request that go on: those whose meaning is known to be text, which is screened, or none.

An engine may read any other one as something that no screen has seen: a template that puts texts together in another
way, tensors, the address of another server's cache, or a wish for the answer's tokens beside its text.
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.gateway.apis import ApiDialect
from homeport.gateway.texts import ASKS_FOR_MORE
from homeport.json_types import JsonObject

_SAMPLING = frozenset(
    {"temperature", "top_p", "top_k", "min_p", "typical_p", "top_n_sigma", "seed", "stop", "presence_penalty", "frequency_penalty",
     "repetition_penalty", "repeat_penalty", "repeat_last_n", "length_penalty", "penalize_nl", "dynatemp_range", "dynatemp_exponent",
     "mirostat", "mirostat_tau", "mirostat_eta", "dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n",
     "dry_sequence_breakers", "xtc_probability", "xtc_threshold", "samplers", "min_keep", "n_keep", "ignore_eos", "logit_bias",
     "use_beam_search", "min_tokens", "stop_token_ids", "include_stop_str_in_output", "skip_special_tokens",
     "spaces_between_special_tokens", "allowed_token_ids", "bad_words", "add_special_tokens", "repetition_detection", "watermarking",
     "n_predict", "t_max_predict_ms", "lora"}
)  # fmt: skip
_FORM = frozenset(
    {"response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "grammar",
     "json_schema", "format"}
)  # fmt: skip
# Of those that ask for probabilities 0 or none goes on: see `texts`.
_SERVICE = frozenset(
    {"model", "stream", "stream_options", "stream_interval", "user", "metadata", "store", "service_tier", "safety_identifier",
     "priority", "request_id", "session_id", "cache_salt", "prompt_cache_key", "prompt_cache_retention", "cache_prompt",
     "truncate_prompt_tokens", "truncation_side", "timings_per_token", "return_progress", "keep_alive", "options", "logprobs",
     "top_logprobs", "n_probs"}
)  # fmt: skip
_TALK = frozenset(
    {"messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "documents", "chat_template_kwargs", "thinking",
     "reasoning_format", "reasoning_budget", "thinking_token_budget", "include_reasoning", "parse_tool_calls", "think"}
)  # fmt: skip
_CHAT = frozenset(
    {"functions", "function_call", "max_completion_tokens", "n", "reasoning", "reasoning_effort", "verbosity", "modalities",
     "prediction", "web_search_options", "echo", "add_generation_prompt", "continue_final_message"}
)  # fmt: skip
_COMPLETIONS = frozenset(
    {"prompt", "system", "suffix", "max_tokens", "n", "best_of", "echo", "thinking_token_budget"}
)
_RESPONSES = frozenset(
    {"input", "instructions", "max_output_tokens", "max_tool_calls", "reasoning", "text", "truncation", "background", "include"}
)  # fmt: skip
_MESSAGES = frozenset(
    {"system", "stop_sequences", "output_config", "output_format", "betas", "cache_control"}
)
_EMBEDDINGS = frozenset(
    {"model", "input", "messages", "encoding_format", "dimensions", "user", "truncate_prompt_tokens", "truncate", "keep_alive",
     "options", "prompt", "normalize", "embd_normalize", "add_special_tokens", "request_id", "priority"}
)  # fmt: skip
_EVERY = _SAMPLING | _FORM | _SERVICE

_KNOWN: Mapping[ApiDialect, frozenset[str]] = {
    ApiDialect.CHAT: _EVERY | _TALK | _CHAT,
    ApiDialect.COMPLETIONS: _EVERY | _COMPLETIONS,
    ApiDialect.RESPONSES: _EVERY | _TALK - {"messages", "documents"} | _RESPONSES,
    ApiDialect.MESSAGES: _EVERY | _TALK | _MESSAGES,
    ApiDialect.NATIVE_CHAT: _EVERY | _TALK | {"truncate", "shift"},
    ApiDialect.NATIVE_GENERATE: _EVERY | {"prompt", "suffix", "system", "raw", "think", "truncate", "shift"},
    ApiDialect.EMBEDDINGS: _EMBEDDINGS,
    ApiDialect.NATIVE_EMBEDDINGS: _EMBEDDINGS,
}
"""By API: as OpenAI's and Anthropic's have them, and the engines'. Written as here: some engines read other letters alike."""


def leave_out(dialect: ApiDialect, body: JsonObject) -> tuple[str, ...]:
    """
    Take out of a request what is not known here, and return its names: an engine must not read it, and clients add some each month.

    What asks for something that is refused stays, so that it is.
    """
    known = _KNOWN[dialect]
    left = tuple(key for key in body if key not in known and key.casefold() not in ASKS_FOR_MORE)
    for key in left:
        del body[key]
    return left
