"""How a command starts: command line, configuration, resolvers."""
