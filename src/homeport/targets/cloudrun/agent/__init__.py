"""The file's `[agent]` on Cloud Run: a service beside the model's, what it may do, and its entry in Agent Registry."""
