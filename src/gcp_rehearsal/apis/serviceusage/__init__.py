"""Service Usage: which APIs are enabled."""
