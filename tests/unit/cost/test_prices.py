"""Prices: the facts' arithmetic, a file of one's own, and the script that brings them up to date."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from runpy import run_path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from homeport.catalog import cloudrun, prices
from homeport.catalog.cloudrun import Shape
from homeport.errors import SpecError
from places import ROOT
from user import Ran

L4, L4_LARGE = cloudrun.gpus()[0].shapes
RTX = cloudrun.gpus()[1].shapes[0]


@pytest.mark.parametrize(
    ("shape", "zonal", "expected"),
    [
        (L4, False, 1.04652),
        (L4, True, 1.42164),
        (L4_LARGE, False, 1.42092),
        (L4_LARGE, True, 1.79604),
        (RTX, False, 3.186792),
        (RTX, True, 3.920868),
    ],
)
@pytest.mark.parametrize("region", ["us-central1", "europe-west4"])
def test_an_hour_costs_what_the_pricing_page_adds_up_to(
    shape: Shape, zonal: bool, expected: float, region: str
) -> None:
    hourly = prices.load().hourly(shape, region, zonal=zonal)
    assert hourly.total == pytest.approx(expected, abs=1e-9)
    assert hourly.total == hourly.cpu + hourly.memory + hourly.gpu
    assert hourly.unconfirmed == ()


def test_the_arithmetic_is_told() -> None:
    hourly = prices.load().hourly(L4_LARGE, "us-central1")
    told = "(8 CPU × $0.000018 + 32 GiB × $0.000002 + nvidia-l4 no-zonal $0.0001867) a second × 3600"
    assert hourly.how == told


def test_other_prices() -> None:
    found = prices.load()
    assert found.build_minute("E2_HIGHCPU_8").usd == 0.0156
    assert found.build_minute("E2_HIGHCPU_32").usd == 0.0624
    assert found.image_gib_month.usd == 0.10
    assert found.storage_gib_month.usd == 0.020
    assert found.storage_gib_month.unconfirmed
    with pytest.raises(SpecError, match="E2_HIGHCPU_32"):
        found.build_minute("M1_ULTRA")


def test_what_nobody_confirms_is_marked() -> None:
    found = prices.load()
    assert found.hourly(L4, "us-east4").unconfirmed == (
        "cpu_second.tier-2",
        "memory_gib_second.tier-2",
        "gpu_second.tier-2.nvidia-l4.no-zonal",
        "region.us-east4",
    )
    assert "region.asia-southeast1" not in found.hourly(L4, "asia-southeast1").unconfirmed


def test_every_price_and_region_has_a_source() -> None:
    found = prices.load()
    assert not [key for key in found.rates if "your file" in found.source(key)]
    assert not [name for name in found.regions if "your file" in found.source(f"region.{name}")]


def test_every_region_and_gpu_of_the_catalog_has_a_price() -> None:
    found = prices.load()
    for gpu in cloudrun.gpus():
        for region in gpu.regions:
            for zonal in (False, True):
                assert found.hourly(gpu.min_shape, region, zonal=zonal).total > 1


def test_a_region_without_price_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"'us-east1'; known: asia-south1, .*us-central1, us-east4") as caught:
        prices.load().hourly(L4, "us-east1")
    assert '[region] us-east1 = "tier-1"' in caught.value.hint


def test_a_gpu_without_price_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(SpecError, match="'nvidia-h100'; known: nvidia-l4, nvidia-rtx-pro-6000"):
        prices.load().hourly(Shape(gpu="nvidia-h100", cpu=20, memory_gib=80), "us-central1")


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_a_file_of_ones_own_overrides_key_by_key(tmp_path: Path) -> None:
    path = own(
        tmp_path,
        'dated = 2026-11-20\n[cpu_second]\ntier-2 = 0.00003\n[region]\nus-east1 = "tier-1"\n'
        "[gpu_second.tier-2]\nnvidia-l4.no-zonal = 0.0002\n",
    )
    found, shipped = prices.load(path), prices.load()
    assert found.dated.isoformat() == "2026-11-20"
    assert found.rates["cpu_second.tier-2"].usd == 0.00003
    assert found.rates["cpu_second.tier-2"].source == f"your file {path}"
    assert found.rates["cpu_second.tier-1"] == shipped.rates["cpu_second.tier-1"]
    assert found.rates["gpu_second.tier-2.nvidia-l4.zonal"].unconfirmed, "that one was not overridden"
    assert found.hourly(L4, "us-east1").total == shipped.hourly(L4, "us-central1").total
    assert found.hourly(L4, "asia-south1").unconfirmed == ("memory_gib_second.tier-2",)


def test_a_file_of_ones_own_may_tell_its_sources_and_doubts(tmp_path: Path) -> None:
    path = own(
        tmp_path,
        'unconfirmed = ["cpu_second"]\n[cpu_second]\ntier-1 = 0.00002\n[sources]\ncpu_second = "our contract"\n',
    )
    rate = prices.load(path).rates["cpu_second.tier-1"]
    assert (rate.source, rate.unconfirmed) == ("our contract", True)


def test_the_shipped_file_is_a_file_of_ones_own_too() -> None:
    assert prices.load(prices.SHIPPED) == prices.load()


def test_the_environment_names_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_PRICES", str(own(tmp_path, "image_gib_month = 7\n")))
    assert prices.load().image_gib_month.usd == 7
    assert prices.load(own(tmp_path, "image_gib_month = 8\n")).image_gib_month.usd == 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[cpu_second]\nteir-1 = 1", r"cpu_second\.teir-1: unknown key; did you mean `cpu_second\.tier-1`\?"),
        ("nonsense = 1", "nonsense: unknown key"),
        (
            "[cpu_second]\ntier-1 = -1",
            r"cpu_second\.tier-1: should be a number of USD, not negative, but is -1",
        ),
        ("[cpu_second]\ntier-1 = nan", r"cpu_second\.tier-1: should be a number of USD"),
        ("[cpu_second]\ntier-1 = true", r"cpu_second\.tier-1: should be a number of USD"),
        ('[cpu_second]\ntier-1 = "0.1"', r"cpu_second\.tier-1: should be a number of USD"),
        ("cpu_second = 1", r"cpu_second: should be a table: \[cpu_second\]"),
        ("[gpu_second.tier-1]\nnvidia-l4 = 1", r"nvidia-l4: should be a table"),
        ("[region]\nus-east1 = 1", r'region\.us-east1: should be "tier-1" or "tier-2", but is 1'),
        ('[region]\nus-east1 = "tier-3"', r"region\.us-east1"),
        ('currency = "EUR"', 'currency: should be "USD"'),
        ('dated = "today"', "dated: should be a date"),
        ("sources = 1", "sources: should be a table"),
        ("[sources]\ncpu_second = 1", "sources: should be a table of texts"),
        ("unconfirmed = 1", "unconfirmed: should be a list"),
        ("[cpu_second", "is not TOML"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_key(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SpecError, match=expected) as caught:
        prices.load(own(tmp_path, text))
    assert "mine.toml" in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no"):
        prices.load(tmp_path / "none.toml")


class Catalog:
    """A billing catalog on loopback, with as many SKUs to a page as it is told."""

    def __init__(self) -> None:
        self.skus: list[dict[str, Any]] = []
        self.page = 7
        self.status = 200
        self.asked: list[tuple[str, str | None]] = []
        for region, cpu, memory, l4 in (
            ("us-central1", 18_000, 2_000, 186_700),
            ("europe-west1", 18_000, 2_000, 186_700),
            ("europe-west4", 18_000, 2_000, 186_700),
            ("us-east4", 18_000, 2_000, 186_700),
            ("asia-south1", 25_000, 2_500, 200_000),
            ("asia-south2", 25_000, 2_500, 200_000),
            ("asia-southeast1", 25_000, 2_500, 200_000),
        ):
            self.add(f"Services CPU (Instance-based billing) in {region}", region, "s", cpu)
            self.add(f"Services Memory (Instance-based billing) in {region}", region, "GiBy.s", memory)
            self.add(f"NVIDIA L4 GPU with no zonal redundancy in {region}", region, "s", l4)

    def add(self, description: str, region: str, unit: str, nanos: int) -> None:
        free = {"startUsageAmount": 0, "unitPrice": {"currencyCode": "USD", "units": "0", "nanos": 0}}
        paid = {
            "startUsageAmount": 240_000,
            "unitPrice": {"currencyCode": "USD", "units": "0", "nanos": nanos},
        }
        expression = {"usageUnit": unit, "tieredRates": [free, paid]}
        self.skus.append(
            {
                "description": description,
                "serviceRegions": [region],
                "pricingInfo": [{"pricingExpression": expression}],
            }
        )

    def answer(self, path: str) -> bytes:
        begin = int(parse_qs(urlsplit(path).query).get("pageToken", ["0"])[0] or 0)
        end = begin + self.page
        token = str(end) if end < len(self.skus) else ""
        return json.dumps({"skus": self.skus[begin:end], "nextPageToken": token}).encode()


@pytest.fixture
def catalog() -> Iterator[tuple[Catalog, str]]:
    found = Catalog()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.path, self.headers["X-Goog-Api-Key"]))
            body = found.answer(self.path) if found.status == 200 else b'{"error": "API key not valid"}'
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield found, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copy(prices.SHIPPED, tmp_path / "prices.toml"))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs the script with a catalog's address, a file, and more words."""

    def run(url: str, file: Path, *more: str, key: str = "secret-key") -> Ran:
        monkeypatch.setenv("GOOGLE_API_KEY", key)
        monkeypatch.setattr(sys, "argv", ["prices.py", "--url", url, "--file", str(file), *more])
        with pytest.raises(SystemExit) as ended:
            run_path(str(ROOT / "scripts" / "prices.py"), run_name="__main__")
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, *capsys.readouterr())

    return run


def test_the_script_tells_what_changes_and_writes_nothing(
    catalog: tuple[Catalog, str], copy: Path, script: Callable[..., Ran]
) -> None:
    found, url = catalog
    before = copy.read_bytes()
    ran = script(url, copy)
    assert ran.code == 0, ran.err
    assert "~ cpu_second.tier-2: $0.0000216 → $0.000025" in ran.out
    assert "~ region.us-east4: tier-2 → tier-1" in ran.out
    assert "? no SKU is called 'NVIDIA RTX Pro 6000 GPU with zonal redundancy in us-central1'" in ran.out
    assert "cpu_second.tier-1:" not in ran.out, "it is as it was"
    assert copy.read_bytes() == before
    assert len(found.asked) == 3, "three pages"
    assert all(key == "secret-key" and "secret-key" not in path for path, key in found.asked)
    assert all(path.startswith("/v1/services/152E-C115-5142/skus?") for path, _ in found.asked)


def test_the_script_writes_values_and_sources_and_keeps_comments(
    catalog: tuple[Catalog, str], copy: Path, script: Callable[..., Ran]
) -> None:
    _, url = catalog
    before = copy.read_text()
    assert script(url, copy, "--write").code == 0
    text = copy.read_text()
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        line for line in before.splitlines() if line.startswith("#")
    ]
    table = tomllib.loads(text)
    assert table["cpu_second"] == {"tier-1": 0.000018, "tier-2": 0.000025}
    assert table["gpu_second"]["tier-2"]["nvidia-l4"] == {"no-zonal": 0.0002, "zonal": 0.0002909}
    assert table["region"]["us-east4"] == "tier-1"
    assert table["unconfirmed"] == [
        "gpu_second.tier-2.nvidia-l4.zonal",
        "gpu_second.tier-2.nvidia-rtx-pro-6000.no-zonal",
        "gpu_second.tier-2.nvidia-rtx-pro-6000.zonal",
        "storage_gib_month",
        "zone_month",
        "api_gateway_million_calls",
        "armor_policy_month",
        "armor_rule_month",
        "armor_million_requests",
        "metric_samples_million",
        "model_armor_million_tokens",
        "regional_endpoint_hour",
    ]
    found = prices.load(copy)
    assert "Cloud Billing catalog" in found.rates["cpu_second.tier-2"].source
    assert "Cloud Billing catalog" in found.rates["gpu_second.tier-2.nvidia-l4.no-zonal"].source
    assert "Cloud Billing catalog" not in found.rates["gpu_second.tier-2.nvidia-l4.zonal"].source
    assert "Cloud Billing catalog" not in found.storage_gib_month.source
    assert "every price found is the one in the file" in script(url, copy).out


def test_the_script_guesses_nothing(
    catalog: tuple[Catalog, str], copy: Path, script: Callable[..., Ran]
) -> None:
    found, url = catalog
    for sku in found.skus:
        if sku["description"] == "Services CPU (Instance-based billing) in europe-west1":
            sku["pricingInfo"][0]["pricingExpression"]["tieredRates"][-1]["unitPrice"]["nanos"] = 1
        if sku["description"] == "Services Memory (Instance-based billing) in us-central1":
            sku["pricingInfo"][0]["pricingExpression"]["usageUnit"] = "GBy.h"
    ran = script(url, copy, "--write")
    assert "? cpu_second.tier-1: the regions of one tier differ: europe-west1 $0.000000001," in ran.out
    assert "in us-central1' has no price in USD per GiBy.s for us-central1" in ran.out
    assert prices.load(copy).rates["cpu_second.tier-1"].usd == 0.000018


@pytest.mark.parametrize(
    ("status", "expected"), [(403, "check the key in GOOGLE_API_KEY"), (500, "answered 500")]
)
def test_the_script_says_what_is_wrong(
    catalog: tuple[Catalog, str], copy: Path, script: Callable[..., Ran], status: int, expected: str
) -> None:
    found, url = catalog
    found.status = status
    ran = script(url, copy, "--write")
    assert ran.code == 1
    assert expected in ran.err
    assert "secret-key" not in ran.err
    assert "Traceback" not in ran.err


def test_the_script_says_that_nothing_is_there(
    catalog: tuple[Catalog, str], copy: Path, script: Callable[..., Ran]
) -> None:
    found, url = catalog
    found.skus = []
    assert "nothing is changed" in script(url, copy, "--write").err
    assert "GOOGLE_API_KEY is not set" in script(url, copy, key="").err
    assert "is not https" in script("http://192.0.2.1", copy).err


def test_the_script_says_that_nobody_is_there(copy: Path, script: Callable[..., Ran]) -> None:
    ran = script("http://127.0.0.1:9", copy)
    assert ran.code == 1
    assert "cannot be reached" in ran.err
