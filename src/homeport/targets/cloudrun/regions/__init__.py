"""Where an endpoint stands on Cloud Run: in one region, or in several one after another."""
