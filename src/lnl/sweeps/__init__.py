"""Jobs, alone or many: what is said of them while they run and at the end."""
