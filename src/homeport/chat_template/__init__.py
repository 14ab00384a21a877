"""A model's chat template, tried before the model is served: parsed and rendered as engines do, within bounds."""
