"""The process behind `open_loop`: sends a plan's requests at their instants and notes the answers.

One thread, non-blocking sockets, one epoll. It reads a pickled `Plan` from its input, and writes
pickled `Outcomes` to its output. What can be made before the clock starts is made before: it shares
its processors with what it measures.
"""

import gc
import pickle
import select
import sys
import time

import numpy as np
from connections import NONE, Connection, Pool
from http_answer import Answer, read_answer
from open_loop import Plan
from outcomes import Outcomes

LEAD_S = 0.05
READ_BYTES = 1 << 16
OPENED_AT_ONCE = 64
PAUSE_S = 0.02
"""For the server to accept them: one that is behind drops what its backlog does not hold."""
BUSY_PER_S = 4000
"""Above this rate, requests and answers are handled in small heaps: to be woken for each costs more
than to handle it, on processors that are shared with what is measured."""
TICK_S = 0.0005
HEAP = 32
"""So many answers are read before what has become due meanwhile is sent."""

clock = time.perf_counter


class Sender:
    """Carries out one plan."""

    def __init__(self, plan: Plan) -> None:
        count = len(plan.at_s)
        self.plan = plan
        self.at_s: list[float] = plan.at_s.tolist()
        self.which: list[int] = plan.which.tolist()
        self.requests = requests_of(plan)
        self.markers = [target.marker for target in plan.targets]
        self.pools = [
            Pool(number, target, plan.connections) for number, target in enumerate(plan.targets)
        ]
        self.epoll = select.epoll()
        self.connections: dict[int, Connection] = {}
        self.carrier: list[Connection | None] = [None] * count
        self.is_open = bytearray(b"\1" * count)
        self.unsettled = count
        self.next = 0
        self.oldest = 0
        self.start = 0.0
        self.polled = 0.0
        """When the answers that are being read had come: to read a burst of them takes its time,
        and that is not the server's."""
        rate = count / max(self.at_s[-1], TICK_S) if count else 0.0
        self.tick_s = TICK_S if rate > BUSY_PER_S else 0.0
        """How long to let answers gather; 0 looks at each as it comes."""
        self.latency_s = np.full(count, np.nan)
        self.status = np.zeros(count, np.int16)
        self.by_model = np.zeros(count, np.bool_)
        self.lag_s = np.full(count, np.nan)

    def run(self) -> Outcomes:
        """Returns when every request is answered or given up."""
        self.open_connections()
        cpu_s = time.process_time()
        self.start = clock() + LEAD_S
        while self.unsettled:
            self.take_events()
            self.give_up()
            self.fill_gaps()
            self.send_due()
        cpu_s = time.process_time() - cpu_s
        plan = self.plan
        columns = (self.latency_s, self.status, self.by_model, self.lag_s)
        return Outcomes(plan.at_s, plan.which, *columns, cpu_s, self.start)

    def open_connections(self) -> None:
        """All of them, before the clock starts: opening takes the time that sending needs."""
        for pool in self.pools:
            while (connection := self.connect(pool)) is not None:
                pool.free.append(connection)
                if not pool.size % OPENED_AT_ONCE:
                    time.sleep(PAUSE_S)

    def send_due(self) -> None:
        """Send what is due on free connections, or on new ones in place of broken ones."""
        count = len(self.at_s)
        while self.next < count and self.at_s[self.next] <= (now := clock() - self.start):
            request, self.next = self.next, self.next + 1
            pool = self.pools[self.which[request]]
            connection = pool.free.pop() if pool.free else self.connect(pool)
            if connection is None:
                pool.waiting.append(request)
            else:
                self.lag_s[request] = now - self.at_s[request]
                self.send(connection, request)

    def connect(self, pool: Pool) -> Connection | None:
        """A new connection, unless the pool is full."""
        if pool.size == pool.bound:
            return None
        pool.size += 1
        connection = Connection(pool.number, pool.address)
        self.connections[connection.socket.fileno()] = connection
        self.epoll.register(connection.socket, select.EPOLLIN)
        return connection

    def send(self, connection: Connection, request: int) -> None:
        """Begin with a request."""
        connection.request = request
        self.carrier[request] = connection
        data = self.requests[request]
        try:
            sent = connection.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.drop(connection)
            return
        if sent < len(data):
            connection.rest = memoryview(data)[sent:]
            self.epoll.modify(connection.socket, select.EPOLLIN | select.EPOLLOUT)

    def give_up(self) -> None:
        """Close the connections of requests that are past their patience."""
        patient = clock() - self.start - self.plan.patience_s
        while self.oldest < self.next and self.at_s[self.oldest] < patient:
            request, self.oldest = self.oldest, self.oldest + 1
            if self.is_open[request]:
                connection = self.carrier[request]
                if connection is None:
                    self.settle(request)
                else:
                    self.drop(connection)

    def take_events(self) -> None:
        """Wait for answers, no longer than until the next request is due."""
        if self.next < len(self.at_s):
            due = self.at_s[self.next]
        else:
            due = self.at_s[self.oldest] + self.plan.patience_s
        pause_s = due - (clock() - self.start)
        if self.tick_s:
            time.sleep(self.tick_s)
        elif pause_s > 0:  # epoll itself counts in milliseconds
            select.select([self.epoll], [], [], pause_s)
        events = self.epoll.poll(0)
        self.polled = clock() - self.start
        for number, (descriptor, event) in enumerate(events, 1):
            if not number % HEAP:
                self.send_due()
            connection = self.connections.get(descriptor)
            if connection is None:  # dropped by an earlier event
                continue
            if event & select.EPOLLOUT and connection.rest is not None:
                self.send_rest(connection, connection.rest)
            if event & ~select.EPOLLOUT and connection.socket.fileno() >= 0:
                self.receive(connection)

    def send_rest(self, connection: Connection, rest: memoryview) -> None:
        """Go on with a request that did not fit."""
        try:
            connection.rest = rest[connection.socket.send(rest) :]
        except BlockingIOError:
            return
        except OSError:
            self.drop(connection)
            return
        if not connection.rest:
            connection.rest = None
            self.epoll.modify(connection.socket, select.EPOLLIN)

    def receive(self, connection: Connection) -> None:
        """Take what has come; an answer may come in pieces."""
        try:
            data = connection.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        received = connection.received + data if connection.received else data
        try:
            answer = read_answer(received, is_all=not data)
        except ValueError:
            answer, data = None, b""
        if answer is not None and connection.request != NONE:
            self.note(connection, answer)
        elif data:
            connection.received = received
        else:
            self.drop(connection)

    def note(self, connection: Connection, answer: Answer) -> None:
        """Write an answer down, and use its connection for what waits."""
        request = connection.request
        self.latency_s[request] = self.polled - self.at_s[request]
        self.status[request] = answer.status
        marker = self.markers[connection.target]
        self.by_model[request] = answer.status == 200 and marker in answer.body
        self.settle(request)
        connection.request = NONE
        connection.received = b""
        if answer.closes:
            self.drop(connection)
        else:
            self.reuse(connection)

    def reuse(self, connection: Connection) -> None:
        """Send what has waited longest, or lay the connection by."""
        pool = self.pools[connection.target]
        while pool.waiting:
            request = pool.waiting.popleft()
            if self.is_open[request]:
                self.send(connection, request)
                return
        pool.free.append(connection)

    def drop(self, connection: Connection) -> None:
        """Close a connection; its request, if there is one, failed."""
        pool = self.pools[connection.target]
        pool.size -= 1
        if connection in pool.free:
            pool.free.remove(connection)
        del self.connections[connection.socket.fileno()]
        connection.socket.close()
        if connection.request != NONE:
            self.settle(connection.request)

    def fill_gaps(self) -> None:
        """Where connections were dropped there is room for what waits."""
        for pool in self.pools:
            while pool.waiting and (connection := self.connect(pool)) is not None:
                self.reuse(connection)

    def settle(self, request: int) -> None:
        """A request has its outcome."""
        self.is_open[request] = 0
        self.unsettled -= 1
        self.carrier[request] = None


def requests_of(plan: Plan) -> list[bytes]:
    """The bytes of each request: each target's own, in turn."""
    used = [0] * len(plan.targets)
    requests = []
    for target in plan.which.tolist():
        available = plan.targets[target].requests
        requests.append(available[used[target] % len(available)])
        used[target] += 1
    return requests


def main() -> None:
    """Plan in, outcomes out."""
    sender = Sender(pickle.load(sys.stdin.buffer))
    gc.collect()
    gc.freeze()
    gc.disable()
    pickle.dump(sender.run(), sys.stdout.buffer)


if __name__ == "__main__":
    main()
