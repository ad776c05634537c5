"""The services of farcall.v1, a file each: from messages to the server's objects and back."""
