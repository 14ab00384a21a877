"""What a load balancer or an API gateway before the endpoint costs: a month of it, whatever the traffic, and what comes with traffic."""

from __future__ import annotations

from homeport.catalog.prices import Prices, Rate, usd
from homeport.cost.figure import Figure
from homeport.cost.usage import MONTH_HOURS
from homeport.spec import Edge

_PROXIES = (
    "not counted: what Google may charge for the instances of its proxies, of which no amount was found"
)
"""Of one in a region, as a regional and an internal one are."""


def edge_month(prices: Prices, edge: Edge) -> Figure:
    """Return a month of it while nobody asks anything: its forwarding rules, and Cloud Armor's policy and rule."""
    if edge.is_api_gateway:
        return Figure(value=0.0, unit="USD/month", how="an API gateway costs by the call")
    rules = prices.rates["load_balancer_hour"]
    figure = Figure(
        value=rules.usd * MONTH_HOURS,
        unit="USD/month",
        how=f"forwarding rules, {MONTH_HOURS} h × {usd(rules.usd)}",
        # Google's page has the prices of internal ones in a section of their own, which was not read.
        unconfirmed=(rules.key,) if edge.kind == "internal" else _marks(rules),
    )
    if edge.requests_per_minute is None:
        return figure
    for key, title in (("armor_policy_month", "a policy"), ("armor_rule_month", "a rule")):
        rate = prices.rates[key]
        figure += Figure(
            value=rate.usd,
            unit="USD/month",
            how=f"{title} of Cloud Armor {usd(rate.usd)}",
            unconfirmed=_marks(rate),
        )
    return figure


def with_traffic(prices: Prices, edge: Edge) -> str:
    """Return in words what comes with traffic, such as `$0.008 a GiB each way`, and what of it all nobody could reckon."""
    if edge.is_api_gateway:
        calls = prices.rates["api_gateway_million_calls"]
        guess = f" ({calls.key} not confirmed)" if calls.unconfirmed else ""
        return f"{usd(calls.usd)} a million calls beyond the first two million a month{guess}, and what Google charges for what goes out to the internet"
    rates = f"{usd(prices.rates['load_balancer_gib'].usd)} a GiB each way"
    if edge.requests_per_minute is not None:
        rates += f" and {usd(prices.rates['armor_million_requests'].usd)} a million requests"
    return rates if edge.kind == "global" else f"{rates}; {_PROXIES}"


def _marks(rate: Rate) -> tuple[str, ...]:
    return (rate.key,) if rate.unconfirmed else ()
