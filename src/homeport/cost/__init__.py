"""What an endpoint on Cloud Run costs, and from which traffic on it is cheaper than an API."""

from homeport.cost.bill import Bill, Cost, Figure, State, Tokens, cost
from homeport.cost.usage import Usage
from homeport.cost.versus import Api, BreakEven, Versus, compare

__all__ = [
    "Api",
    "Bill",
    "BreakEven",
    "Cost",
    "Figure",
    "State",
    "Tokens",
    "Usage",
    "Versus",
    "compare",
    "cost",
]
