"""What happens around every method of farcall.v1, a file for each concern."""
