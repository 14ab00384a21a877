"""The file's API gateway on Cloud Run: keys for clients without a load balancer."""
