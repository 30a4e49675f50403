"""From samples of posteriors to numbers: evidences, information, tensions, and priors of the next experiment."""
