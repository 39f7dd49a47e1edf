"""What an operator looks at, as data; Grafana's files are made from it by `tierflow dashboards`."""
