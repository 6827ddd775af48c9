"""The control socket: other programs talk to a running machine in QMP's form.

`folder` has the names of machines and their sockets, `commands` what a machine can be told, `session` the conversation
with one client on any transport, `server` the machine's end of the socket, `client` the other one.
"""
