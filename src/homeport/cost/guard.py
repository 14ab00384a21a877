"""What the screen of `[guard]` costs on Cloud Run: the way to Model Armor, whatever the traffic, and what comes with traffic."""

from __future__ import annotations

from homeport.catalog.prices import Prices, usd
from homeport.cost.figure import Figure
from homeport.cost.usage import MONTH_HOURS
from homeport.spec import Guard

_WAY, _TOKENS = "regional_endpoint_hour", "model_armor_million_tokens"


def guard_month(prices: Prices, guard: Guard | None, network: str | None) -> Figure | None:
    """Return a month of the way to it; None where another screen judges, a load balancer asks, or the network is the user's own."""
    if guard is None or guard.screen == "local" or not guard.in_gateway or network is not None:
        return None
    rate = prices.rates[_WAY]
    return Figure(
        value=rate.usd * MONTH_HOURS,
        unit="USD/month",
        how=f"the way to Model Armor, {MONTH_HOURS} h × {usd(rate.usd)}",
        unconfirmed=(rate.key,) if rate.unconfirmed else (),
    )


def screened_tokens(prices: Prices, guard: Guard | None) -> str:
    """Return in words what comes with traffic, such as `$0.1 a million tokens`; '' for another screen."""
    if guard is None or guard.screen == "local":
        return ""
    rate = prices.rates[_TOKENS]
    return f"{usd(rate.usd)} a million tokens{' (not confirmed)' if rate.unconfirmed else ''}"
