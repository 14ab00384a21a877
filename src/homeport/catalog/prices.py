"""What Google Cloud charges: `prices.toml`, dated and sourced, and what the user's own file says instead."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homeport.catalog.cloudrun import Shape
from homeport.catalog.cpu_and_memory import NOTHING, CpuAndMemory
from homeport.errors import SpecError
from homeport.toml_file import read_toml

ENVIRONMENT = "HOMEPORT_PRICES"
"""The variable that names the user's own file of prices."""
SHIPPED = Path(__file__).parent / "prices.toml"
_HINT = f"{SHIPPED.name} beside homeport's catalog shows every key; a file of your own needs only those it changes"
_MOST = 1e15
_ABOUT = {"currency", "dated", "sources", "unconfirmed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One price."""

    key: str
    """Where it stands in the file, such as `cpu_second.tier-1`."""
    usd: float
    source: str
    unconfirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A region, and which tier of Cloud Run's prices it has."""

    tier: str
    source: str
    unconfirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hourly:
    """What one instance costs in an hour, in USD."""

    cpu: float
    memory: float
    gpu: float
    unconfirmed: tuple[str, ...]
    """Keys of the rates used that nothing official confirms."""
    sources: tuple[str, ...]
    how: str
    """The arithmetic, as text."""

    @property
    def total(self) -> float:
        """Return the USD an hour for CPU, memory and GPU together."""
        return self.cpu + self.memory + self.gpu


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """List prices in USD, without free tiers and discounts."""

    dated: date
    """The day on which they were read; of the user's own where their file says so."""
    rates: Mapping[str, Rate]
    """By key, such as `gpu_second.tier-1.nvidia-l4.zonal`."""
    regions: Mapping[str, Region]

    @property
    def storage_gib_month(self) -> Rate:
        """Return the price of one GiB in Cloud Storage for a month."""
        return self.rates["storage_gib_month"]

    @property
    def image_gib_month(self) -> Rate:
        """Return the price of one GiB in Artifact Registry for a month."""
        return self.rates["image_gib_month"]

    @property
    def zone_month(self) -> Rate:
        """Return the price of one private zone for a month."""
        return self.rates["zone_month"]

    def source(self, key: str) -> str:
        """Return where the price or the region's tier of this key is from."""
        name = key.removeprefix("region.")
        return self.regions[name].source if name != key else self.rates[key].source

    def build_minute(self, machine: str) -> Rate:
        """Return a minute of Cloud Build on `machine`."""
        return self._rate("build_minute", machine, what="machine of Cloud Build")

    def hourly(
        self, shape: Shape, region: str, *, zonal: bool = False, beside: CpuAndMemory = NOTHING
    ) -> Hourly:
        """
        Return an hour of one instance of `shape` in `region`, and of what its other containers have `beside`.

        Raises `SpecError` where there is no price for it.
        """
        size = CpuAndMemory(cpu=shape.cpu, memory_gib=shape.memory_gib) + beside
        return self.instance(size, region, gpu=shape.gpu, zonal=zonal)

    def instance(self, size: CpuAndMemory, region: str, *, gpu: str = "", zonal: bool = False) -> Hourly:
        """
        Return an hour of one instance of any size in `region`, without a GPU where none is named.

        The rates are those of billing by instances, not by requests. Raises `SpecError` as `hourly` does.
        """
        place = self.regions.get(region)
        if place is None:
            raise SpecError(
                f"there is no price for the region {region!r}; known: {', '.join(sorted(self.regions))}",
                hint=f'take one of these, or give its tier in a file of prices: [region] {region} = "tier-1"',
            )
        cpu = self.rates[f"cpu_second.{place.tier}"]
        memory = self.rates[f"memory_gib_second.{place.tier}"]
        redundancy = "zonal" if zonal else "no-zonal"
        of_gpu = self._rate(f"gpu_second.{place.tier}", gpu, redundancy, what="GPU") if gpu else None
        rates = [rate for rate in (cpu, memory, of_gpu) if rate is not None]
        unconfirmed = [rate.key for rate in rates if rate.unconfirmed]
        if place.unconfirmed:
            unconfirmed.append(f"region.{region}")
        return Hourly(
            cpu=cpu.usd * size.cpu * 3600,
            memory=memory.usd * size.memory_gib * 3600,
            gpu=of_gpu.usd * 3600 if of_gpu else 0.0,
            unconfirmed=tuple(unconfirmed),
            sources=tuple(dict.fromkeys((*(rate.source for rate in rates), place.source))),
            how=f"({size.cpu:g} CPU × {usd(cpu.usd)} + {size.memory_gib:g} GiB × {usd(memory.usd)}"
            + (f" + {gpu} {redundancy} {usd(of_gpu.usd)}" if of_gpu else "")
            + ") a second × 3600",
        )

    def _rate(self, table: str, name: str, *rest: str, what: str) -> Rate:
        rate = self.rates.get(".".join((table, name, *rest)))
        if rate is None:
            known = sorted(
                {key[len(table) + 1 :].split(".")[0] for key in self.rates if key.startswith(table + ".")}
            )
            raise SpecError(
                f"there is no price for the {what} {name!r}; known: {', '.join(known)}", hint=_HINT
            )
        return rate


def usd(rate: float) -> str:
    """Return a rate as it stands in the file: `$0.0000216`, never `$2.16e-05`."""
    return f"${rate:.10f}".rstrip("0").rstrip(".")


def load(path: Path | None = None) -> Prices:
    """
    Return the prices that come with homeport, and over them those of the user's own file: `path`, or else the
    one that HOMEPORT_PRICES names. Raises `SpecError` naming the key that is wrong.
    """
    if path is None and (own_file := os.environ.get(ENVIRONMENT)):
        path = Path(own_file)
    shipped = read_toml(SHIPPED, hint=_HINT)
    own = read_toml(path, hint=_HINT) if path is not None else {}
    values, changed = dict(_leaves(shipped)), dict(_leaves(own))
    tiers = set(shipped["cpu_second"])
    for key, value in changed.items():
        _check(key, value, values, tiers, where=str(path))
    _check_about(own, where=str(path))
    dated = own.get("dated", shipped["dated"])
    rates: dict[str, Rate] = {}
    regions: dict[str, Region] = {}
    for key, value in {**values, **changed}.items():
        table = own if key in changed else shipped
        source = _nearest(key, table.get("sources", {})) or f"your file {path}"
        unconfirmed = _nearest(key, {name: name for name in table.get("unconfirmed", ())}) is not None
        if key.startswith("region."):
            name = key.removeprefix("region.")
            regions[name] = Region(tier=value, source=source, unconfirmed=unconfirmed)
        else:
            rates[key] = Rate(key=key, usd=float(value), source=source, unconfirmed=unconfirmed)
    return Prices(dated=dated, rates=MappingProxyType(rates), regions=MappingProxyType(regions))


def is_amount(value: object) -> bool:
    """Return True if this can be a price or a number of tokens: not negative, and no more than a million billions."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST


def _leaves(
    table: Mapping[str, Any],
    at: str = "",  # Any: the values of a TOML table
) -> Iterator[tuple[str, Any]]:
    """Yield every price and tier of a file, by its dotted key."""
    for name, value in table.items():
        if not at and name in _ABOUT:
            continue
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{at}{name}.")
        else:
            yield f"{at}{name}", value


def _check(key: str, value: object, known: Mapping[str, object], tiers: set[str], *, where: str) -> None:
    if key.startswith("region.") and key.count(".") == 1:  # The one table that may grow.
        if not isinstance(value, str) or value not in tiers:
            expected = " or ".join(f'"{tier}"' for tier in sorted(tiers))
            raise SpecError(f"{where}: {key}: should be {expected}, but is {value!r}", hint=_HINT)
    elif key in known:
        if not is_amount(value):
            expected = "a number of USD, not negative"
            raise SpecError(f"{where}: {key}: should be {expected}, but is {value!r}", hint=_HINT)
    elif any(name.startswith(f"{key}.") for name in known):
        raise SpecError(f"{where}: {key}: should be a table: [{key}], but is {value!r}", hint=_HINT)
    else:
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        suggestion = f"; did you mean `{close[0]}`?" if close else ""
        raise SpecError(f"{where}: {key}: unknown key{suggestion}", hint=_HINT)


def _check_about(own: Mapping[str, Any], *, where: str) -> None:  # Any: the values of a TOML table
    sources, unconfirmed = own.get("sources", {}), own.get("unconfirmed", [])
    dated = own.get("dated", date.min)
    problems = {
        'currency: should be "USD"': own.get("currency", "USD") != "USD",
        "dated: should be a date, such as 2026-10-08": type(dated) is not date,
        "sources: should be a table of texts": not isinstance(sources, Mapping)
        or not all(isinstance(text, str) for text in sources.values()),
        "unconfirmed: should be a list of keys": not isinstance(unconfirmed, list)
        or not all(isinstance(key, str) for key in unconfirmed),
    }
    for text, wrong in problems.items():
        if wrong:
            raise SpecError(f"{where}: {text}, but is {own[text.split(':')[0]]!r}", hint=_HINT)


def _nearest(key: str, table: Mapping[str, str]) -> str | None:
    """Return what a table by key says of `key`: the entry itself, or that of the nearest key above it."""
    while key:
        if key in table:
            return table[key]
        key = key.rpartition(".")[0]
    return None
