"""`python -m chat_telemetry` runs the command `chat-telemetry`, for example if it is not on the PATH."""

from chat_telemetry._cli import main

if __name__ == "__main__":
    main()
