"""Network Connectivity: the ways from a network to regional endpoints of Google's APIs."""
