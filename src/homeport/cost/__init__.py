"""What an endpoint on Cloud Run costs, and from which traffic on it is cheaper than an API."""

from homeport.cost.bill import Bill, BillingState, Cost, Tokens, cost
from homeport.cost.figure import Figure
from homeport.cost.usage import Usage
from homeport.cost.versus import Api, BreakEven, Versus, compare

__all__ = [
    "Api",
    "Bill",
    "BillingState",
    "BreakEven",
    "Cost",
    "Figure",
    "Tokens",
    "Usage",
    "Versus",
    "compare",
    "cost",
]
