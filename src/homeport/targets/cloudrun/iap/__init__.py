"""The file's `access.iap` on Cloud Run: Identity-Aware Proxy before the service."""
