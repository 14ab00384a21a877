"""What an endpoint really gives: latency of one user, throughput of many, the load from which more gives no more."""

from homeport.bench.bench import bench
from homeport.bench.options import BenchOptions
from homeport.bench.result import BenchResult

__all__ = ["BenchOptions", "BenchResult", "bench"]
