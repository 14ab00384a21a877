"""What vLLM honours, as far as it was seen: of chat completions with vLLM 0.32 on a CPU."""

from homeport.engines.conformance import ABSENT, Feature, honoured, unchecked

HONOURS = {
    Feature.SECOND_TURN: honoured(
        "where the message with the call is given back with content `null`, not an empty text; streamed: not seen"
    ),
    Feature.SECOND_TURN_RESPONSES: unchecked(),
    Feature.SECOND_TURN_NATIVE: ABSENT,
    Feature.CHOICE_NONE: unchecked(
        "its flag `--exclude-tools-when-tool-choice-none` is off by default, so the tools stay in the prompt"
    ),
    Feature.CHOICE_REQUIRED: honoured("by its grammar"),
    Feature.CHOICE_NAMED: unchecked(
        'its source forces the call by a grammar, `finish_reason` is `"stop"`; the call of our small model was not seen'
    ),
    Feature.RESPONSES_SCHEMA: unchecked("its source reads the schema"),
    Feature.UNKNOWN_MODEL: unchecked("its source answers 404"),
    Feature.IMAGES: honoured(
        "for a picture where the model sees none; what it does with one that it sees: not seen"
    ),
    Feature.MISTAKES: unchecked(),
}
