"""The command line: one thin file a command, and the heavy part imported inside its body."""
