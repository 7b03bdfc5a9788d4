"""What the project costs, measured beside what one would use instead."""
