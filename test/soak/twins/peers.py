"""The far host: accepts connections, reads what comes, and for each line of ports on standard input writes a byte ("speak") or closes without a
trace ("forget"). Has no keepalive and no user timeout of its own, so it never gives a connection up."""
import json
import os
import select
import socket
import struct
import sys

listener = socket.create_server((sys.argv[1], 7000), backlog=1024)
listener.setblocking(False)
poll = select.epoll()
poll.register(listener.fileno(), select.EPOLLIN)
poll.register(sys.stdin.fileno(), select.EPOLLIN)
by_port, by_descriptor = {}, {}


def forget(port):
    connection = by_port.pop(port, None)
    if connection is None:
        return
    poll.unregister(connection.fileno())
    del by_descriptor[connection.fileno()]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def speak(port):
    try:
        by_port[port].send(b".")
    except (KeyError, OSError):
        # It has been reset.
        forget(port)


def accept():
    connection, (_, port) = listener.accept()
    connection.setblocking(False)
    forget(port)
    by_port[port], by_descriptor[connection.fileno()] = connection, port
    poll.register(connection.fileno(), select.EPOLLIN)


def hear(descriptor):
    port = by_descriptor[descriptor]
    try:
        if not by_port[port].recv(4096):
            forget(port)
    except BlockingIOError:
        pass
    except OSError:
        forget(port)


acts = {"speak": speak, "forget": forget}
unread = b""
print("ready", flush=True)
while True:
    ready = [descriptor for descriptor, _ in poll.poll()]
    for descriptor in ready:
        if descriptor in by_descriptor:
            hear(descriptor)
    # After those: a number may be another connection's from here on.
    if listener.fileno() in ready:
        accept()
    if sys.stdin.fileno() in ready:
        chunk = os.read(sys.stdin.fileno(), 1 << 16)
        if not chunk:
            sys.exit()
        *lines, unread = (unread + chunk).split(b"\n")
        for line in lines:
            for act, ports in json.loads(line).items():
                for port in ports:
                    acts[act](port)
