"""The jobs of a command or a sweep: what they report while they run, and the summary at the end."""
