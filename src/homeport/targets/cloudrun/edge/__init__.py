"""The file's `[edge]` on Cloud Run: the load balancer's parts, what stands behind it, and how it is proved."""
