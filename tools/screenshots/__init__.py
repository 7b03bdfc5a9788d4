"""Takes the picture of the dashboard that the README shows, from the file that the demo wrote."""
