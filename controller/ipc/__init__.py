"""The protocol, its sockets and keys, and the queue between server and tick."""
