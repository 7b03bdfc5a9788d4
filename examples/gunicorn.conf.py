"""gunicorn with the application loaded before it forks: each worker gets a client, thread and connection of its own.

Nothing has to be done for that, nor when a worker ends: its exit delivers what is left.
"""

wsgi_app = "django_app:application"
preload_app = True
workers = 4
# A worker that is told to stop finishes its requests first; the exit's own time (5 s unless
# CHAT_TELEMETRY_EXIT_TIMEOUT says otherwise) must fit into what is left of this.
graceful_timeout = 30
