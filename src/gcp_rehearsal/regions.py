"""The regions of the rehearsed cloud, with their zones."""

from __future__ import annotations

from collections.abc import Mapping

ZONES: Mapping[str, str] = {
    "africa-south1": "abc", "asia-east1": "abc", "asia-east2": "abc", "asia-northeast1": "abc",
    "asia-northeast2": "abc", "asia-northeast3": "abc", "asia-south1": "abc", "asia-south2": "abc",
    "asia-southeast1": "abc", "asia-southeast2": "abc", "australia-southeast1": "abc",
    "australia-southeast2": "abc", "europe-central2": "abc", "europe-north1": "abc", "europe-southwest1": "abc",
    "europe-west1": "bcd", "europe-west2": "abc", "europe-west3": "abc", "europe-west4": "abc",
    "europe-west6": "abc", "europe-west8": "abc", "europe-west9": "abc", "europe-west12": "abc",
    "me-central1": "abc", "me-central2": "abc", "me-west1": "abc", "northamerica-northeast1": "abc",
    "northamerica-northeast2": "abc", "northamerica-south1": "abc", "southamerica-east1": "abc",
    "southamerica-west1": "abc", "us-central1": "abcf", "us-east1": "bcd", "us-east4": "abc", "us-east5": "abc",
    "us-south1": "abc", "us-west1": "abc", "us-west2": "abc", "us-west3": "abc", "us-west4": "abc",
}  # fmt: skip
"""The letters of each region's zones."""

MULTI_REGIONS = ("asia", "eu", "us")
DUAL_REGIONS = ("asia1", "eur4", "eur5", "eur7", "eur8", "nam4")
