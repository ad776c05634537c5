"""What the host provides to guests: file systems, and the modules that guests import."""
