"""Certificate Manager: certificates, maps of them, and proofs that a domain is somebody's."""
