"""A machine that goes on in another process: its snapshot goes there by a connection while it stands still.

`channel` is the connection, `outgoing` and `incoming` are its two ends, `status` is what QMP's clients are told.
"""
