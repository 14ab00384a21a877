"""How many instances a model's traffic needs on Cloud Run, how long people wait, and what a month costs: simulated."""
