"""What outlives a session: the crash-safe journal of a person's corrections."""
