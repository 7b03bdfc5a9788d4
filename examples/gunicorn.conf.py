"""gunicorn with the application loaded before it forks. Each worker gets its own client, thread and connection.

That needs no code, and neither does the end of a worker: its exit delivers the remaining records.
"""

wsgi_app = "django_app:application"
preload_app = True
workers = 4
# A worker that has to stop finishes its requests first. Then its exit takes at most CHAT_TELEMETRY_EXIT_TIMEOUT, by
# default 5 s. Both have to fit into this time.
graceful_timeout = 30
