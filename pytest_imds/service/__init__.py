"""How the service answers: a Request in, a Reply out, for a Host. No sockets, no threads, no pytest."""
