"""Bring Cloud Run's prices in `prices.toml` up to date from Google's billing catalog: `prices.py [--write]`.

Prints what would change, and writes it with --write. The key of the API stands in GOOGLE_API_KEY. What has no
SKU of the expected description and unit is named and stays as it is; nothing is guessed.

Checked against public copies of the catalog of 2026: the id of the service, and the descriptions of CPU and
memory. Not checked against the catalog itself: the descriptions of GPUs, seen in two public repositories, and
the units.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from homeport.addresses import is_loopback
from homeport.catalog.prices import SHIPPED, Prices, load, usd
from homeport.errors import HomeportError

URL = "https://cloudbilling.googleapis.com"
SERVICE = "152E-C115-5142"  # Cloud Run, as https://cloud.google.com/skus/sku-groups names it
GPUS = {"nvidia-l4": "NVIDIA L4 GPU", "nvidia-rtx-pro-6000": "NVIDIA RTX Pro 6000 GPU"}
REDUNDANCY = {"no-zonal": "no zonal redundancy", "zonal": "zonal redundancy"}
PAGES = 100


class CatalogError(Exception):
    """The catalog cannot be read, with what to do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A price of one region, and the SKU that has it."""

    key: str
    """Of prices.toml, with {tier} for the region's tier."""
    description: str
    unit: str


@dataclass(frozen=True, slots=True)
class News:
    """What the catalog says."""

    rates: Mapping[str, float]
    """By key: all confirmed regions of the tier agree."""
    regions: Mapping[str, str]
    """Tiers of regions that were not confirmed before."""
    problems: tuple[str, ...]


def wanted(region: str) -> Iterator[Wanted]:
    """Name every price of a region."""
    yield Wanted("cpu_second.{tier}", f"Services CPU (Instance-based billing) in {region}", "s")
    yield Wanted(
        "memory_gib_second.{tier}", f"Services Memory (Instance-based billing) in {region}", "GiBy.s"
    )
    for gpu, title in GPUS.items():
        for redundancy, words in REDUNDANCY.items():
            yield Wanted(f"gpu_second.{{tier}}.{gpu}.{redundancy}", f"{title} with {words} in {region}", "s")


def skus(url: str, service: str, key: str) -> Iterator[dict[str, Any]]:  # Any: JSON
    """Fetch all SKUs of a service, page by page."""
    if urlsplit(url).scheme != "https" and not is_loopback(urlsplit(url).hostname or ""):
        raise CatalogError(f"{url} is not https: the key would travel in the open")
    token = ""
    with httpx2.Client(base_url=url, headers={"X-Goog-Api-Key": key}, timeout=60) as client:
        for _ in range(PAGES):
            page = fetch(client, f"/v1/services/{service}/skus", {"pageSize": "5000", "pageToken": token})
            yield from page.get("skus", [])
            token = page.get("nextPageToken", "")
            if not token:
                return
    raise CatalogError(f"{url} has more than {PAGES} pages for one service; that cannot be right")


def fetch(client: httpx2.Client, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:  # Any: JSON
    """Fetch one page."""
    try:
        answer = client.get(path, params={"currencyCode": "USD", **parameters})
    except httpx2.HTTPError as error:
        raise CatalogError(f"{client.base_url} cannot be reached: {error}") from error
    if answer.status_code in {400, 401, 403}:
        raise CatalogError(
            f"{client.base_url} refused the request ({answer.status_code}): {said(answer)}\n"
            "   do: check the key in GOOGLE_API_KEY, and that its project has the Cloud Billing API enabled"
        )
    if answer.status_code != 200:
        raise CatalogError(f"{client.base_url} answered {answer.status_code}: {said(answer)}")
    try:
        page = answer.json()
    except ValueError:
        page = None
    if not isinstance(page, dict):
        raise CatalogError(f"{client.base_url} answered something that is not the catalog: {said(answer)}")
    return page


def said(answer: httpx2.Response) -> str:
    """Return what an answer says, in short."""
    return " ".join(answer.text.split())[:200] or "nothing"


def price(sku: Mapping[str, Any], unit: str) -> float | None:  # Any: JSON
    """Return USD for one `unit` beyond the free tier, or None where the SKU does not say so."""
    try:
        expression = sku["pricingInfo"][-1]["pricingExpression"]
        rate = expression["tieredRates"][-1]["unitPrice"]
        amount = int(rate.get("units", 0)) + int(rate.get("nanos", 0)) / 1e9
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None
    right = expression.get("usageUnit") == unit and rate.get("currencyCode", "USD") == "USD"
    return amount if right and amount > 0 else None


def read(found: list[dict[str, Any]], prices: Prices) -> News:  # Any: JSON
    """Find every region's prices, from those of confirmed regions the rates of tiers, and then the other regions' tiers."""
    problems: list[str] = []
    regional = {region: dict(priced(found, region, problems)) for region in prices.regions}
    rates = dict(agreed(regional, prices, problems))
    regions: dict[str, str] = {}
    for region, place in prices.regions.items():
        if not place.unconfirmed or not regional[region]:
            continue
        tiers = [
            tier
            for tier in (key.partition(".")[2] for key in prices.rates if key.startswith("cpu_second."))
            if all(rates.get(key.format(tier=tier)) == amount for key, amount in regional[region].items())
        ]
        if len(tiers) == 1:
            regions[region] = tiers[0]
        else:
            problems.append(f"region.{region}: its prices are not those of exactly one tier")
    return News(rates, regions, tuple(problems))


def priced(
    found: list[dict[str, Any]], region: str, problems: list[str]
) -> Iterator[tuple[str, float]]:  # Any: JSON
    """Find the prices of one region."""
    by_description = {str(sku.get("description", "")).lower(): sku for sku in found}
    for want in wanted(region):
        sku = by_description.get(want.description.lower())
        if sku is None:
            problems.append(f"no SKU is called {want.description!r}")
        elif (amount := price(sku, want.unit)) is None or region not in sku.get("serviceRegions", [region]):
            problems.append(f"{want.description!r} has no price in USD per {want.unit} for {region}")
        else:
            yield want.key, amount


def agreed(
    regional: Mapping[str, Mapping[str, float]], prices: Prices, problems: list[str]
) -> Iterator[tuple[str, float]]:
    """Find the rates on which all confirmed regions of a tier agree."""
    for key in prices.rates:
        amounts = {
            region: amount
            for region, place in prices.regions.items()
            for form, amount in regional[region].items()
            if not place.unconfirmed and form.format(tier=place.tier) == key
        }
        if len(set(amounts.values())) == 1:
            yield key, next(iter(amounts.values()))
        elif amounts:
            told = ", ".join(f"{region} {usd(amount)}" for region, amount in amounts.items())
            problems.append(f"{key}: the regions of one tier differ: {told}")


def changes(prices: Prices, news: News) -> list[str]:
    """Tell old and new, a line for each price or tier that changes or becomes confirmed."""
    lines = []
    for key, amount in news.rates.items():
        old = prices.rates[key]
        if old.usd != amount:
            lines.append(f"~ {key}: {usd(old.usd)} → {usd(amount)}")
        elif old.unconfirmed:
            lines.append(f"= {key}: {usd(amount)} is confirmed")
    for region, tier in news.regions.items():
        before = prices.regions[region].tier
        lines.append(
            f"~ region.{region}: {before} → {tier}"
            if before != tier
            else f"= region.{region}: {tier} is confirmed"
        )
    return lines


def rewritten(text: str, news: News, source: str, today: date) -> str:
    """Return the file with the news in it. Comments stay: only values are replaced, line by line."""
    values = {**{key: usd(amount)[1:] for key, amount in news.rates.items()},
              **{f"region.{name}": f'"{tier}"' for name, tier in news.regions.items()}}  # fmt: skip
    old = tomllib.loads(text)
    leaves = [
        key
        for table in ("cpu_second", "memory_gib_second", "gpu_second", "region")
        for key in keys(old[table], table)
    ]
    doubts = {
        entry: [key for key in under(entry, leaves) if key not in values] for entry in old["unconfirmed"]
    }
    sources = dict.fromkeys(values, source)
    for entry in old["sources"]:
        own = [key for key in leaves if nearest(key, old["sources"]) == entry]
        if own and all(key in values for key in own):
            sources = {key: text for key, text in sources.items() if key not in own} | {entry: source}
    lines, table = [], ""
    for line in text.splitlines():
        if line.startswith("["):
            table = line.strip("[] ") + "."
        name = line.partition("=")[0].strip().strip('"')
        if table == "sources." and name in sources:
            lines.append(re.sub(r'= ".*"$', f'= "{sources.pop(name)}"', line))
        elif not table and name == "dated":
            lines.append(f"dated = {today}")
        elif (entry := line.strip().strip('",')) in doubts and under(entry, leaves):
            lines += [f'  "{key}",' for key in (doubts[entry] if touched(entry, values) else [entry])]
        else:
            lines.append(revalued(line, table + name, values))
    return "\n".join([*lines, *(f'"{key}" = "{text}"' for key, text in sources.items())]) + "\n"


def revalued(line: str, key: str, values: Mapping[str, str]) -> str:
    """Return a line with its new value, or with those of its inline table."""
    if key in values:
        return re.sub(r'=\s*("[^"]*"|[\d.e-]+)', f"= {values[key]}", line, count=1)
    for full, value in values.items():
        if full.startswith(key + "."):
            inner = full.removeprefix(key + ".")
            line = re.sub(rf"(?<![\w-]){re.escape(inner)}\s*=\s*[\d.e-]+", f"{inner} = {value}", line)
    return line


def keys(table: Mapping[str, Any], at: str) -> Iterator[str]:  # Any: TOML
    """Name every price beneath a table."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from keys(value, f"{at}.{name}")
        else:
            yield f"{at}.{name}"


def under(entry: str, leaves: list[str]) -> list[str]:
    """Name the prices that an entry speaks for."""
    return [key for key in leaves if key == entry or key.startswith(entry + ".")]


def touched(entry: str, values: Mapping[str, str]) -> bool:
    """Tell whether any price that an entry speaks for has news."""
    return bool(under(entry, list(values)))


def nearest(key: str, table: Mapping[str, str]) -> str | None:
    """Name the entry that speaks for a price."""
    return max((entry for entry in table if under(entry, [key])), key=len, default=None)


def check(text: str, path: Path, news: News) -> None:
    """Refuse to write a file in which the news did not arrive."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / path.name
        copy.write_text(text, encoding="utf-8")
        after = load(copy)
    if any(abs(after.rates[key].usd - amount) > 1e-12 for key, amount in news.rates.items()) or any(
        after.regions[name].tier != tier for name, tier in news.regions.items()
    ):
        raise CatalogError(f"{path} has a form that this script cannot edit; change it by hand")


def update(arguments: argparse.Namespace) -> None:
    """Fetch, compare, tell, and write where that was asked for."""
    key = os.environ.get("GOOGLE_API_KEY")
    if not key:
        raise CatalogError(
            "GOOGLE_API_KEY is not set\n   do: make a key in the console of a Google Cloud project"
        )
    prices = load(arguments.file)
    news = read(list(skus(arguments.url, arguments.service, key)), prices)
    for problem in news.problems:
        print(f"? {problem}")
    if not news.rates:
        raise CatalogError("the catalog has none of the prices that are looked for; nothing is changed")
    lines = changes(prices, news)
    print("\n".join(lines) if lines else "every price found is the one in the file")
    if not arguments.write:
        print(f"nothing written; --write changes {arguments.file.name}")
        return
    today = datetime.now(UTC).date()
    source = f"Cloud Billing catalog, service {arguments.service}, read {today}"
    text = rewritten(arguments.file.read_text(encoding="utf-8"), news, source, today)
    check(text, arguments.file, news)
    arguments.file.write_text(text, encoding="utf-8")
    print(f"written: {arguments.file.name}")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", default=URL, help="where the catalog is")
    parser.add_argument("--service", default=SERVICE, help="the id of Cloud Run in it")
    parser.add_argument("--file", type=Path, default=SHIPPED, help="the file to bring up to date")
    parser.add_argument("--write", action="store_true", help="write what was found")
    try:
        update(parser.parse_args())
    except (CatalogError, HomeportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
