"""Google's typed client of Model Armor knows every field of a template that we make, and reads back what is meant."""

from __future__ import annotations

from itertools import combinations

import pytest
from google.cloud import modelarmor_v1
from google.protobuf import json_format

from homeport.resources.google.model_armor import filter_config

FILTERS = ("injection", "harm", "secrets", "urls")


@pytest.mark.parametrize(
    "filters", [one for count in range(1, 5) for one in combinations(FILTERS, count)], ids=" ".join
)
def test_each_filter_is_on_or_off_in_the_words_of_googles_own_types(filters: tuple[str, ...]) -> None:
    made = modelarmor_v1.Template()
    json_format.ParseDict({"filterConfig": filter_config(filters)}, modelarmor_v1.Template.pb(made))
    config, on = made.filter_config, "ENABLED"
    assert (config.pi_and_jailbreak_filter_settings.filter_enforcement.name == on) is ("injection" in filters)
    assert (config.malicious_uri_filter_settings.filter_enforcement.name == on) is ("urls" in filters)
    assert (config.sdp_settings.basic_config.filter_enforcement.name == on) is ("secrets" in filters)
    kinds = {one.filter_type.name for one in config.rai_settings.rai_filters}
    assert kinds == (
        {"DANGEROUS", "HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT"} if "harm" in filters else set()
    )
