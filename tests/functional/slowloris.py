#!/usr/bin/env python3
"""slowloris.py PORT CONNECTIONS SECONDS - requests that never end, a byte at a time."""

import socket
import sys
import time

port, count, seconds = (int(text) for text in sys.argv[1:])
begin = b"GET /api/v1/matrix HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
clients = []
for _ in range(count):
    client = socket.socket()
    client.settimeout(1)
    try:
        client.connect(("127.0.0.1", port))
        client.sendall(begin)
    except OSError:
        pass  # More than it takes at once.
    clients.append(client)
end = time.monotonic() + seconds
while time.monotonic() < end:
    for client in clients:
        try:
            client.sendall(b"x")
        except OSError:
            pass  # It was cut, which is what is wanted.
    time.sleep(0.5)
