"""What is known of Google Cloud, dated, with Google's own page for each fact."""
