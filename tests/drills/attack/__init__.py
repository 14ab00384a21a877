"""
Attacks on every promise of SECURITY.md, against real servers on loopback: `make attack`.

`python -m attack` (with `tests` on the path) starts an engine with `homeport up`, a rehearsal, a service in it and a
`homeport proxy` before that, and prints for every door how many attacks were tried, how many it held, and how many
it fell to. The attacks are made from a seed, so that a second run tries the same. docs/security.md shows the counts.

One module a family; each has `attacks(random)`, which makes its list without touching anything. What an attack means
to do is in its name; what must hold is in `law.py` and in the family's own docstring.
"""
