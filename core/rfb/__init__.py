"""The remote framebuffer protocol (RFC 6143), for displays that speak it, on whatever transport.

`Server` shows one console to many clients; each is a `Session` on a `Stream` of bytes. Below them: pixel formats
(`pixels`), encodings, dirty tiles (`tiles`), messages, security, keyboard and pointer.
"""
