"""When functions are compiled, and how well: all at once, or fast at the first call and well in the background."""
