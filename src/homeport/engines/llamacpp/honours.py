"""What llama.cpp honours; a test asks a real one (xllamacpp 2026.10) all of it."""

from homeport.engines.conformance import ABSENT, Feature, honoured, not_honoured

HONOURS = {
    Feature.SECOND_TURN: honoured(),
    Feature.SECOND_TURN_RESPONSES: honoured(),
    Feature.SECOND_TURN_NATIVE: ABSENT,
    Feature.CHOICE_NONE: not_honoured(
        "the tools are shown to the model all the same; what it then calls comes as text"
    ),
    Feature.CHOICE_REQUIRED: honoured(),
    Feature.CHOICE_NAMED: not_honoured("taken as `auto`: the model calls what it likes"),
    Feature.SCHEMA_PATTERN: not_honoured(
        r"the whole schema is left out without a word, and text comes with 200, for `\d`, `\w`, `(?=…)` and what is no pattern; "
        "`[0-9]` and its like are obeyed"
    ),
    Feature.RESPONSES_SCHEMA: not_honoured("ignored, prose comes: use `response_format` of chat completions"),
    Feature.UNKNOWN_MODEL: not_honoured("any name is answered, by the one model that is loaded"),
    Feature.MODEL_BY_NAME: not_honoured("404 for each: look for it in the list"),
    Feature.NO_VECTORS: not_honoured(
        '501, with a flag of its own (`--embeddings`), which is no key here: `task = "embed"` is'
    ),
    Feature.IMAGES: not_honoured(
        "500 for a picture where `engine.projector` is not set; 400 for what is no picture"
    ),
    Feature.SOUND: not_honoured(
        "500 for a sound where no encoder of sound is loaded (`engine.projector`); 400 for what is no sound"
    ),
    Feature.MISTAKES: not_honoured(
        "500 for some: tools that are no list, a role that is no text, a call without arguments in the history, no message "
        "at all, `true` in the place of a schema"
    ),
}
