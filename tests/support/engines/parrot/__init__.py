"""An engine that nobody needs: it says what it heard."""
