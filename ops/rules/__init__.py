"""Alerts as data, and the Prometheus rules that are made from them; `tierflow dashboards` writes the file."""
