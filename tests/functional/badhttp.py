#!/usr/bin/env python3
"""badhttp.py PORT KIND COUNT SECONDS - COUNT clients that a web server wishes it had not.

slow: each sends a request that never ends, a byte at a time.   mute: each connects and says nothing.
stalled: each asks for the stream, reads its first message and then nothing more.

At the end: "ID N", the id of the last message that the first client had read, and how many were cut."""

import re
import socket
import sys
import time

port, kind, count, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
BEGIN = {
    "slow": b"GET /api/v1/matrix HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "mute": b"",
    "stalled": b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n",
}[kind]


def begin():
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(1 if BEGIN else 0)  # Who says nothing need not even wait until it is connected.
    try:
        client.connect(("127.0.0.1", port))
        client.sendall(BEGIN)
    except OSError:
        pass  # More than it takes at once.
    return client


def first_id(client):
    text = b""
    client.settimeout(10)
    try:
        while not (found := re.search(rb"id: (\S+)\nevent: \w+\ndata: ", text)):
            text += client.recv(256)
    except OSError:
        return ""
    return found.group(1).decode()


def is_cut(client, end):
    """What was sent before the end comes first, as room for it is made here."""
    try:
        while (left := end - time.monotonic()) > 0:
            client.settimeout(left)
            if not client.recv(1 << 16):
                return True
        return False
    except TimeoutError:
        return False
    except OSError:
        return True


clients = [begin() for _ in range(count)]
seen = first_id(clients[0]) if kind == "stalled" else ""
end = time.monotonic() + seconds
while time.monotonic() < end:
    for client in clients:
        try:
            if kind == "slow":
                client.sendall(b"x")
        except OSError:
            pass  # It was cut, which is what is wanted.
    time.sleep(0.5)
print("ID", seen)
end = time.monotonic() + 3
print("cut", sum(is_cut(client, end) for client in clients))
