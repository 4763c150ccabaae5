"""`splitnet demo --federated`: a fleet on new production lines gets better by itself."""
