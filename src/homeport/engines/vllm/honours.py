"""What vLLM honours, as far as it was seen: vLLM 0.32 on a CPU, with small models of the tests."""

from homeport.engines.conformance import ABSENT, Feature, honoured, not_honoured, unchecked

HONOURS = {
    Feature.SECOND_TURN: honoured(
        "where the message with the call is given back with content `null`, not an empty text; streamed: not seen"
    ),
    Feature.SECOND_TURN_RESPONSES: honoured(),
    Feature.SECOND_TURN_NATIVE: ABSENT,
    Feature.CHOICE_NONE: honoured(
        "none came of our small model; the tools stay in the prompt, as `--exclude-tools-when-tool-choice-none` is off"
    ),
    Feature.CHOICE_REQUIRED: honoured(
        'one came where none was needed; asked otherwise, once text alone came, with `finish_reason` `"tool_calls"`'
    ),
    Feature.CHOICE_NAMED: not_honoured(
        "with the parser `gemma4` our small model called another function, or none; a name that is no tool's gets 400"
    ),
    Feature.SCHEMA_PATTERN: honoured(),
    Feature.RESPONSES_SCHEMA: honoured(),
    Feature.UNKNOWN_MODEL: honoured(),
    Feature.MODEL_BY_NAME: not_honoured("404 for each, by its routes: look for it in the list"),
    Feature.NO_VECTORS: unchecked("404, by its routes"),
    Feature.IMAGES: honoured(
        "for a picture where the model sees none, for what is no picture, and for more of them than the limit"
    ),
    Feature.SOUND: honoured("for a sound where the model hears none; a model that hears was not tried"),
    Feature.MISTAKES: honoured(),
}
