"""Imports that clients provide: the guest's calls go to the client, and its answers come back."""
