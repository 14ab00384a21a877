"""What lets starts on Cloud Run use what an earlier one compiled."""
