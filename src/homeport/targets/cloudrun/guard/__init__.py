"""The file's `[guard]` on Cloud Run: the screen in an instance or at the load balancer."""
