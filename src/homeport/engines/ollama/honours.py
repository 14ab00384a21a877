"""What Ollama honours by its own documentation and by reports of its users. Not checked against Ollama."""

from homeport.engines.conformance import Feature, honoured, not_honoured, unchecked

_CHOICE = not_honoured("its documentation lists `tool_choice` as not supported")

HONOURS = {
    Feature.SECOND_TURN: honoured("its documentation lists tools"),
    Feature.SECOND_TURN_RESPONSES: unchecked(
        "its documentation lists tools; users report that the model does not see the result: use chat completions"
    ),
    Feature.SECOND_TURN_NATIVE: unchecked("its documentation lists it"),
    Feature.CHOICE_NONE: _CHOICE,
    Feature.CHOICE_REQUIRED: _CHOICE,
    Feature.CHOICE_NAMED: _CHOICE,
    Feature.SCHEMA_PATTERN: unchecked(),
    Feature.RESPONSES_SCHEMA: unchecked("its documentation does not list it"),
    Feature.UNKNOWN_MODEL: unchecked("its documentation says 404"),
    Feature.MODEL_BY_NAME: unchecked("its documentation lists it"),
    Feature.NO_VECTORS: unchecked("it may give a mean of the model's states"),
    Feature.IMAGES: unchecked(),
    Feature.SOUND: unchecked(),
    Feature.MISTAKES: unchecked(),
}
