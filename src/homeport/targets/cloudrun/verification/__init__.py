"""What a deployment on Cloud Run is held to, and the proof of a revision before it has traffic."""
