# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""What C11 atomics may do, as a machine that can be explored: all executions of a few short threads.

The machine is the one of views (Kang, Hur, Lahav, Vafeiadis, Dreyer: A promising semantics for relaxed-memory concurrency,
POPL 2017), without promises. A location is a list of messages in its modification order. A thread has a view: the newest
message that it knows of, by location. It reads any message that is not older than that, and may put a store anywhere behind it.

 - A release store's message carries the thread's view; who reads it with acquire takes that view over. A relaxed load keeps it for
   an acquire fence that may follow; a release fence gives the view to the relaxed stores behind it.
 - A read-modify-write stands right behind the message that it has read, and hands on what that one carried (a release sequence).
 - Sequentially consistent fences join with one view that all of them share. Sequentially consistent operations are acquire and release, and
   agree on one order by location: such a load sees no message older than the last such store. (C11 promises a little more.)
 - Plain accesses: one that meets another, of which at least one writes, and that does not stand in its view, is a data race.

What it does not show is a load that takes from a store which comes later in its own thread's program order (load buffering): a
compiler or CPU may do that to two relaxed operations, and none of what is checked with this depends on it being impossible, as
every value that a thread acts on was read, modified and written by one operation, or by an acquire.

A thread is a generator. It yields operations, made by the functions below, and receives what was read.
"""
import collections
import itertools

Op = collections.namedtuple("Op", "what loc value order fail")
Message = collections.namedtuple("Message", "id value view attached")  # attached: a read-modify-write of the one before it
Thread = collections.namedtuple("Thread", "seen now acquired released done")  # seen: all that it has received; views
Test = collections.namedtuple("Test", "threads init plain bad")  # plain: locations that are no atomics


class Bad(Exception):
    """Raised by a thread that has seen what must not be."""


def load(loc, order="relaxed"):
    return Op("load", loc, None, order, None)


def store(loc, value, order="relaxed"):
    return Op("store", loc, value, order, None)


def update(loc, change, orders="relaxed"):
    """A read-modify-write, or a loop of compare-and-swaps: change(old) is the new value, or None to leave it be, which is then a
    load by the order behind the slash. Receives the old value."""
    order, _, fail = orders.partition("/")
    return Op("update", loc, change, order, fail or "relaxed")


def fence(order):
    return Op("fence", None, None, order, None)


def read(loc):
    """A plain load."""
    return Op("read", loc, None, None, None)


def write(loc, value):
    """A plain store."""
    return Op("write", loc, value, None, None)


def acquires(order):
    return order in ("acquire", "acq_rel", "seq_cst")


def releases(order):
    return order in ("release", "acq_rel", "seq_cst")


class State(collections.namedtuple("State", "memory reads threads common last")):
    """memory: location -> messages; reads: plain location -> {thread: its clock}; common: view of the seq_cst fences; last: location ->
    id of the last seq_cst store. All as sorted tuples, so that states can be compared."""


def get(pairs, key, default=None):
    for k, v in pairs:
        if k == key:
            return v
    return default


def put(pairs, key, value):
    return tuple(sorted([(k, v) for k, v in pairs if k != key] + [(key, value)]))


class Machine:
    def __init__(self, test):
        self.test = test
        self.next_ops = {}  # (thread, what it has received) -> its next operation, or ("end", what it returns)
        self.visited = set()
        self.ends = 0
        self.fault = None

    # -- threads --

    def next_op(self, number, seen):
        """Threads are run again from their start: all they know is what they have received."""
        key = (number, seen)
        if key not in self.next_ops:
            run = self.test.threads[number]()
            try:
                op = next(run)
                for value in seen:
                    op = run.send(value)
                self.next_ops[key] = op
            except StopIteration as end:
                self.next_ops[key] = ("end", end.value)
            except Bad as bad:
                self.next_ops[key] = ("bad", str(bad))
        return self.next_ops[key]

    # -- views: sorted tuples of (location, message id); "@n" is thread n's clock --

    @staticmethod
    def place(memory, loc, ident):
        for at, m in enumerate(get(memory, loc)):
            if m.id == ident:
                return at
        raise KeyError(ident)

    def join(self, memory, a, b):
        if a == b or not b:
            return a
        if not a:
            return b
        both = dict(a)
        for loc, ident in b:
            if loc not in both:
                both[loc] = ident
            elif both[loc] != ident:
                later = ident > both[loc] if loc[0] == "@" else self.place(memory, loc, ident) > self.place(memory, loc, both[loc])
                if later:
                    both[loc] = ident
        return tuple(sorted(both.items()))

    def known(self, state, view, loc):
        ident = get(view, loc)
        return 0 if ident is None else self.place(state.memory, loc, ident)

    # -- steps --

    def start(self):
        init = dict(self.test.init)
        memory = tuple(sorted((loc, (Message(("", 0), value, (), False),)) for loc, value in init.items()))
        threads = tuple(Thread((), (), (), (), None) for _ in self.test.threads)
        return State(memory, (), threads, (), ())

    def moved(self, state, number, thread, received, **also):
        threads = list(state.threads)
        threads[number] = thread._replace(seen=thread.seen + (received,))
        return state._replace(threads=tuple(threads), **also)

    def reading(self, state, thread, loc, message, order, own=False):
        """The thread's views after it has read this message."""
        here = ((loc, message.id),)
        now = self.join(state.memory, thread.now, here)
        acquired = self.join(state.memory, self.join(state.memory, thread.acquired, message.view), now)
        if acquires(order):
            now = self.join(state.memory, now, message.view)
        return thread._replace(now=now, acquired=acquired)

    def least(self, state, thread, loc, order):
        """The oldest message that may be read, or behind which may be stored."""
        at = self.known(state, thread.now, loc)
        last = get(state.last, loc)
        return at if order != "seq_cst" or last is None else max(at, self.place(state.memory, loc, last))

    def steps_load(self, state, number, thread, op):
        messages = get(state.memory, op.loc)
        for at in range(self.least(state, thread, op.loc, op.order), len(messages)):
            t = self.reading(state, thread, op.loc, messages[at], op.order)
            yield self.moved(state, number, t, messages[at].value)

    def placed(self, state, number, thread, loc, at, value, order, base, attached):
        """Store behind message `at`. base: what a read-modify-write hands on."""
        ident = (number, len(thread.seen))
        messages = get(state.memory, loc)
        memory = put(state.memory, loc, messages[:at + 1] + (Message(ident, value, (), attached),) + messages[at + 1:])
        now = self.join(memory, thread.now, ((loc, ident),))
        view = self.join(memory, now if releases(order) else thread.released, base)
        view = self.join(memory, view, ((loc, ident),))
        memory = put(memory, loc, tuple(m._replace(view=view) if m.id == ident else m for m in get(memory, loc)))
        acquired = self.join(memory, thread.acquired, now)
        last = put(state.last, loc, ident) if order == "seq_cst" else state.last
        return thread._replace(now=now, acquired=acquired), {"memory": memory, "last": last}

    def steps_store(self, state, number, thread, op):
        messages = get(state.memory, op.loc)
        for at in range(self.least(state, thread, op.loc, op.order), len(messages)):
            if at + 1 < len(messages) and messages[at + 1].attached:
                continue
            t, also = self.placed(state, number, thread, op.loc, at, op.value, op.order, (), False)
            yield self.moved(state, number, t, None, **also)

    def steps_update(self, state, number, thread, op):
        messages = get(state.memory, op.loc)
        for at in range(self.known(state, thread.now, op.loc), len(messages)):
            message = messages[at]
            new = op.value(message.value)
            order = op.fail if new is None else op.order
            if at < self.least(state, thread, op.loc, order):
                continue
            if new is not None and at + 1 < len(messages) and messages[at + 1].attached:
                continue
            t, also = self.reading(state, thread, op.loc, message, order), {}
            if new is not None:
                t, also = self.placed(state, number, t, op.loc, at, new, order, message.view, True)
            yield self.moved(state, number, t, message.value, **also)

    def steps_fence(self, state, number, thread, op):
        now, common = thread.now, state.common
        if acquires(op.order):
            now = thread.acquired
        if op.order == "seq_cst":
            now = common = self.join(state.memory, now, common)
        released = now if releases(op.order) else thread.released
        acquired = self.join(state.memory, thread.acquired, now)
        yield self.moved(state, number, thread._replace(now=now, acquired=acquired, released=released), None, common=common)

    def steps_plain(self, state, number, thread, op):
        messages = get(state.memory, op.loc)
        readers = get(state.reads, op.loc, ())
        clock = "@%d" % number
        ticked = self.join(state.memory, thread.now, ((clock, len(thread.seen) + 1),))
        if self.known(state, thread.now, op.loc) != len(messages) - 1:
            raise Bad(f"data race: thread {number + 1} {op.what}s {op.loc}, which another has written")
        if op.what == "read":
            t = thread._replace(now=ticked, acquired=self.join(state.memory, thread.acquired, ticked))
            reads = put(state.reads, op.loc, put(readers, number, len(thread.seen) + 1))
            yield self.moved(state, number, t, messages[-1].value, reads=reads)
            return
        for reader, at in readers:
            if reader != number and (get(thread.now, "@%d" % reader) or 0) < at:
                raise Bad(f"data race: thread {number + 1} writes {op.loc}, which another reads")
        t, also = self.placed(state, number, thread, op.loc, len(messages) - 1, op.value, "relaxed", (), False)
        yield self.moved(state, number, t, None, **also)

    def steps(self, state, number):
        thread = state.threads[number]
        op = self.next_op(number, thread.seen)
        if op[0] == "bad":
            raise Bad(op[1])
        if op[0] == "end":
            return
        steps = {"load": self.steps_load, "store": self.steps_store, "update": self.steps_update, "fence": self.steps_fence,
                 "read": self.steps_plain, "write": self.steps_plain}[op.what]
        yield from steps(state, number, thread, op)

    # -- all of them --

    def quiet(self, state):
        """A thread whose next access is plain: no other can tell when it is made, so it is made first."""
        for number, thread in enumerate(state.threads):
            if self.next_op(number, thread.seen)[0] in ("read", "write", "bad"):
                return (number,)
        return range(len(state.threads))

    def end(self, state):
        self.ends += 1
        returned = [self.next_op(n, t.seen)[1] for n, t in enumerate(state.threads)]
        final = {loc: messages[-1].value for loc, messages in state.memory}
        if self.test.bad is not None and self.test.bad(returned, final):
            raise Bad(f"threads returned {returned}, memory {final}")

    def explore(self):
        """@return None, or what was seen that must not be"""
        todo = [self.start()]
        self.visited.add(todo[0])
        try:
            while todo:
                state = todo.pop()
                after = list(itertools.chain.from_iterable(self.steps(state, n) for n in self.quiet(state)))
                if not after and all(self.next_op(n, t.seen)[0] == "end" for n, t in enumerate(state.threads)):
                    self.end(state)
                for s in after:
                    if s not in self.visited:
                        self.visited.add(s)
                        todo.append(s)
        except Bad as bad:
            self.fault = str(bad)
        return self.fault


def explore(test):
    """@return (what was seen that must not be, or None; states met; executions that came to their end, states counted once)"""
    m = Machine(test)
    return m.explore(), len(m.visited), m.ends
