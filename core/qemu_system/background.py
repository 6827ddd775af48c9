"""-daemonize: a child goes on in the background; its parent ends once the child's machine is there, or can't be."""

from __future__ import annotations

import os

FAILED = 1


class Background:
    """Two processes from here on; made before any thread. The child has a session of its own, without a terminal."""

    def __init__(self) -> None:
        self._receiver, self._sender = os.pipe()
        self._child = os.fork()
        if self._child:
            os.close(self._sender)
        else:
            os.close(self._receiver)
            os.setsid()

    @property
    def is_parent(self) -> bool:
        """Whether this is the process that was started."""
        return self._child != 0

    def wait_for_child(self) -> int:
        """The exit status of the parent: 0 once the child is ready, and what the child ended with if it never is."""
        if os.read(self._receiver, 1):
            return 0
        _, status = os.waitpid(self._child, 0)
        return os.waitstatus_to_exitcode(status) or FAILED

    def ready(self) -> None:
        """The child's: everything is open. It leaves the folder and standard files that it was started with."""
        os.chdir("/")
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        os.close(nothing)
        os.write(self._sender, b"\0")
        os.close(self._sender)
