"""Holds the twins, and a duplicate of the descriptor of each connection under test, so that one process times the end of both: the process
under test may be stopped. Reads commands as JSON lines from standard input, and prints what happens as JSON lines.

A duplicate is only polled for errors, read by TCP_INFO, and written to. Its SO_ERROR is left to its owner."""
import ctypes
import errno
import json
import os
import select
import socket
import struct
import sys
import time

PIDFD_GETFD = 438
TCP_USER_TIMEOUT = 18
SAMPLE_EVERY = 0.25
SIDES = "tested", "twin"

libc = ctypes.CDLL(None, use_errno=True)
poll = select.epoll()
pairs = {}
by_descriptor = {}


class End:
    def __init__(self, pair, side, connection):
        self.pair, self.side, self.socket = pair, side, connection
        self.has_ended = False
        by_descriptor[connection.fileno()] = self
        poll.register(connection.fileno(), select.EPOLLOUT if side == "twin" else 0)

    def sample(self):
        """How long the peer has not been heard, ms, as the kernel's keepalive timer counts it; and its count of unanswered probes."""
        info = self.info()
        return min(struct.unpack_from("=II", info, 52)), info[3]

    def info(self):
        return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)

    def happen(self, events):
        if events & (select.EPOLLERR | select.EPOLLHUP):
            self.end()
        elif events & select.EPOLLOUT:
            poll.modify(self.socket.fileno(), select.EPOLLIN)
            say("connected", self.pair, port=self.socket.getsockname()[1])
        elif events & select.EPOLLIN:
            try:
                if not self.socket.recv(4096):
                    self.end()
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    self.end()

    def end(self):
        info = self.info()
        self.has_ended = True
        self.forget()
        cause = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if self.side == "twin" else None
        state, _, retransmits, probes = info[:4]
        say(
            "ended",
            self.pair,
            side=self.side,
            silence=min(struct.unpack_from("=II", info, 52)),
            noticedWithin=lateness.now(),
            state=state,
            probes=probes,
            retransmits=retransmits,
            code=cause and errno.errorcode.get(cause, cause),
        )

    def forget(self):
        if by_descriptor.pop(self.socket.fileno(), None):
            poll.unregister(self.socket.fileno())


def say(event, pair=None, **details):
    print(json.dumps({"did": event, "id": pair, "at": 1000 * time.monotonic(), **details}), flush=True)


def connect(pair, host, port):
    twin = socket.socket()
    twin.setblocking(False)
    twin.connect_ex((host, port))
    pairs[pair] = {"twin": End(pair, "twin", twin)}


def duplicate(pair, pid, fd):
    process = os.pidfd_open(pid)
    copy = libc.syscall(PIDFD_GETFD, process, fd, 0)
    os.close(process)
    if copy < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    # Not blocking, as its owner has it: that is a property of the open file, not of the descriptor.
    pairs[pair]["tested"] = End(pair, "tested", socket.socket(fileno=copy))
    say("duplicated", pair)


def tune(pair, enable, initialDelay, interval, count, userTimeout):
    """TCP_KEEPIDLE last: it sets the timer."""
    twin = pairs[pair]["twin"].socket
    twin.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(enable))
    twin.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval // 1000)
    twin.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, count)
    twin.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, userTimeout)
    twin.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, initialDelay // 1000)
    say("tuned", pair)


def write(pair, during="outage"):
    """To both at once, also while the process under test is stopped."""
    ends = pairs[pair]
    try:
        for end in ends.values():
            end.socket.send(b".")
        say("wrote", pair, during=during)
    except OSError:
        pass  # One has just ended, which is told apart.


def close(pair):
    for end in pairs.pop(pair, {}).values():
        end.forget()
        end.socket.close()


commands = {"connect": connect, "duplicate": duplicate, "tune": tune, "write": write, "close": close}


def sample():
    """Of all that are open the silence, ms, and the kernel's count of unanswered probes: `null` for one that has ended."""
    samples = {
        pair: [None if side not in ends or ends[side].has_ended else ends[side].sample() for side in SIDES]
        for pair, ends in pairs.items()
    }
    say("sampled", samples=samples)


class Lateness:
    """How late this process may be at most with what it reads of a connection that has ended: while it did something else, or waited
    for a processor."""

    def __init__(self):
        self.returned_at = time.monotonic()
        self.before = 0

    def poll(self, timeout):
        busy = time.monotonic() - self.returned_at
        waited = time_without_processor()
        ready = dict(poll.poll(timeout))
        self.returned_at = time.monotonic()
        self.before = busy + time_without_processor() - waited
        return ready

    def now(self):
        return 1000 * (self.before + time.monotonic() - self.returned_at)


def time_without_processor():
    with open("/proc/self/schedstat") as statistics:
        return int(statistics.read().split()[1]) / 1e9


lateness = Lateness()
try:
    os.nice(-20)
except PermissionError:
    pass  # Its lateness counts.
poll.register(sys.stdin.fileno(), select.EPOLLIN)
os.set_blocking(sys.stdin.fileno(), False)
unread = b""
next_sample = time.monotonic()
print(json.dumps({"did": "ready"}), flush=True)
while True:
    ready = lateness.poll(max(0, next_sample - time.monotonic()))
    has_commands = ready.pop(sys.stdin.fileno(), None)
    for descriptor, events in ready.items():
        by_descriptor[descriptor].happen(events)
    # After the events: a command may close a descriptor and open another one with the same number.
    if has_commands:
        chunk = os.read(sys.stdin.fileno(), 1 << 16)
        if not chunk:
            sys.exit()
        *lines, unread = (unread + chunk).split(b"\n")
        for line in lines:
            command = json.loads(line)
            commands[command.pop("do")](command.pop("id"), **command)
    if time.monotonic() >= next_sample:
        sample()
        next_sample = time.monotonic() + SAMPLE_EVERY
