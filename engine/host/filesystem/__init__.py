"""File systems that guests see: in memory, in archives, and directories of the host."""
