"""A page of plots for who has no Grafana: read from the topics themselves, in one file without links."""
