"""When requests come and how long they are: recorded traces, and arrival processes that are drawn from a seed."""

from homeport.traffic.arrivals import burst, constant, poisson, ramp
from homeport.traffic.lengths import Lengths
from homeport.traffic.trace import Arrival, Trace, read

__all__ = ["Arrival", "Lengths", "Trace", "burst", "constant", "poisson", "ramp", "read"]
