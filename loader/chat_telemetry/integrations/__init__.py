"""Optional parts for other packages. None of them is imported by `chat_telemetry`, and none adds a dependency."""
