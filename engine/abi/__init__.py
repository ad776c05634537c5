"""What compiled code and the runtime agree on: trap codes and structure layouts.

Neither side imports the other; both import this.
"""
