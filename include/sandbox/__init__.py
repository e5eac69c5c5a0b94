"""A program on a socket that plays the vendors, so that a migration can be rehearsed and tested without one.

It shares no code with Ferry's clients: the fake and the client meet only on the wire.
"""
