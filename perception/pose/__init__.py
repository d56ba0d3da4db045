"""From tag corners to a pose with its covariance."""
