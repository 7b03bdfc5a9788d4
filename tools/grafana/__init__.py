"""The Grafana dashboard of the reports: bi/grafana/dashboards/chat_telemetry.json."""
