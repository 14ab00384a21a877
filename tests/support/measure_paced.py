"""A program that measures a server with `homeport.bench` and prints the result: `measure_paced.py URL USERS SECONDS INPUT OUTPUT`."""

from __future__ import annotations

import json
import sys

from homeport import sync
from homeport.bench import BenchOptions, bench
from homeport.endpoint import Endpoint

if __name__ == "__main__":
    URL, USERS, SECONDS, INPUT, OUTPUT = sys.argv[1:]
    OPTIONS = BenchOptions(
        input=int(INPUT), output=int(OUTPUT), users=(int(USERS),), seconds=float(SECONDS), repetitions=1
    )
    ENDPOINT = Endpoint(name="paced", base_url=f"{URL}/v1", model="paced")
    print(json.dumps(sync.run(bench(ENDPOINT, OPTIONS)).as_json()))
