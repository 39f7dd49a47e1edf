"""The limits of one provider under faults: the real limiter and leases, with a model of what lies between."""
