"""What to send, and how to read the answer, for every method of the API; both clients only do the waiting.

Nothing here touches the network.
"""
