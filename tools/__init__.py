"""What the project is worked on with. Nothing of it is installed."""
