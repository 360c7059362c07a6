# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""The idioms by which convd's threads meet, each with as few steps as show what must not happen.

A test is a function of the code's orders: c(function, object, operation) is the order of that operation in the source, as
scripts/atomics.py reads it, so what is explored is what stands there; run.py weakens them one by one. The steps of a function
of the code stand in a function of the same name here. Locations in `plain` are no atomics: to meet there unordered is a race.
"""
import collections

from memory import Bad, Test, fence, load, read, store, update, write

Word = collections.namedtuple("Word", "refs inside dead queued posted listed gen work",
                              defaults=(0, False, False, False, False, True, 1, frozenset()))


# ---- the word: lib/conv/enter.c, lib/ipht/node.h ----

def nothing(bits):
    return
    yield


def conv_enter(c, work=nothing):
    """work(bits): what the node's kind does with the work that stood."""
    w = yield update("word", lambda w: None if w.dead or w.refs == 0 or w.inside
                     else w._replace(inside=True, refs=w.refs + 1, work=frozenset()), c("conv_enter", "node.word", "cas"))
    if w.dead or w.refs == 0:
        yield fence(c("conv_enter", "fence", "fence"))
        return "gone"
    if w.inside:
        return "busy"
    if w.work:
        yield from work(w.work)
    return "in"


def conv_enter_or(c, bits, work):
    w = yield update("word", lambda w: w._replace(work=w.work | bits) if w.inside else w._replace(inside=True, work=frozenset()),
                     c("conv_enter_or", "node.word", "cas"))
    if not w.inside and w.work:
        yield from work(w.work)
    return not w.inside


def conv_get_live(c):
    w = yield update("word", lambda w: None if w.dead or w.refs == 0 else w._replace(refs=w.refs + 1),
                     c("conv_get_live", "node.word", "cas"))
    if w.dead or w.refs == 0:
        yield fence(c("conv_get_live", "fence", "fence"))
        return False
    return True


def node_unref(c):
    """@return true: it was the last"""
    w = yield update("word", lambda w: w._replace(refs=w.refs - 1), c("node_unref", "node.word", "sub"))
    return w.refs == 1


def conv_work_round(c, work):
    """work(bits): what the node's kind does with them."""
    w = yield load("word")
    if not w.work:
        return False
    bits = w.work
    yield update("word", lambda w: w._replace(work=w.work - bits), c("conv_work_round", "node.word", "and"))
    yield from work(bits)
    return True


def conv_leave(c, work):
    """@return true: the last reference went"""
    while True:
        w = yield update("word", lambda w: None if w.work else w._replace(inside=False, refs=w.refs - 1),
                         c("conv_leave", "node.word", "cas"))
        if not w.work:
            return w.refs == 1
        yield from conv_work_round(c, work)


def conv_leave_standing(c):
    """@return true: it is to be put on the kick list"""
    w = yield update("word", lambda w: w._replace(inside=False, refs=w.refs - 1) if w.queued else w._replace(inside=False, queued=True),
                     c("conv_leave_standing", "node.word", "cas"))
    return not w.queued


def conv_kick(c, bits):
    """@return true: it is to be put on the kick list"""
    def change(w):
        w = w._replace(work=w.work | bits)
        return w if w.inside or w.queued else w._replace(queued=True, refs=w.refs + 1)
    w = yield update("word", change, c("conv_kick", "node.word", "cas"))
    return not (w.inside or w.queued)


def conv_enter_standing(c, work):
    w = yield load("word")
    if not w.work or not (yield from conv_enter_or(c, frozenset(), work)):
        yield from node_unref(c)
        return
    yield from conv_leave(c, work)


def conv_run_kicks(c, work):
    """The list holds the node."""
    yield update("word", lambda w: w._replace(queued=False), c("conv_run_kicks", "node.word", "and"))
    yield from conv_enter_standing(c, work)


def use(loc):
    """What the one inside does with a conversation: it reads and writes."""
    yield write(loc, (yield read(loc)) + 1)


def work_stands(m):
    """Bits that nobody is going to see."""
    w = m["word"]
    return w.work and not (w.inside or w.queued or w.posted)


def enter_and_leave(c):
    """Whoever is inside has the conversation's state for himself, and sees what those before him did."""
    def worker():
        if (yield from conv_enter(c)) == "in":
            yield from use("state")
            yield from conv_leave(c, nothing)
            return 1
        return 0
    return Test([worker] * 3, {"word": Word(refs=1), "state": 0}, ("state",), lambda r, m: m["state"] != sum(r))


def last_owner(c):
    """Who gives back the last reference frees what all owners have used."""
    def inside():
        yield write("state", 1)
        if (yield from conv_leave(c, nothing)):
            yield write("state", None)
            yield write("queue", None)

    def owner():
        yield write("queue", 1)
        if (yield from node_unref(c)):
            yield write("state", None)
            yield write("queue", None)
    return Test([inside, owner], {"word": Word(refs=2, inside=True, dead=True), "state": 0, "queue": 0}, ("state", "queue"),
                lambda r, m: m["state"] is not None or m["queue"] is not None)


def last_of_two(c):
    """The same among those who are not inside."""
    def owner(own):
        def run():
            yield write(own, 1)
            if (yield from node_unref(c)):
                yield write("one", None)
                yield write("two", None)
        return run
    return Test([owner("one"), owner("two")], {"word": Word(refs=2, dead=True), "one": 0, "two": 0}, ("one", "two"),
                lambda r, m: m["one"] is not None)


def bits_left(c):
    """Work that comes while somebody is inside is done by him, with what it speaks of; or else by who brought it."""
    def work(bits):
        if "kick" in bits:
            yield write("queue", (yield read("queue")) + 1)

    def inside():
        yield from use("state")
        yield from conv_leave(c, work)

    def brings():
        yield write("queue", 1)
        if (yield from conv_enter_or(c, frozenset(["kick"]), work)):
            yield from use("state")
            yield from work(["kick"])
            yield from conv_leave(c, work)
        else:
            yield from node_unref(c)
    return Test([inside, brings], {"word": Word(refs=3, inside=True), "state": 0, "queue": 0}, ("state", "queue"),
                lambda r, m: work_stands(m) or m["queue"] != 2 or m["word"].refs != 1)


def conv_backlog_push(c, packet):
    yield write(packet, 1)
    # The packet's link is part of the packet; here the head holds the whole chain.
    yield update("backlog", lambda b: (packet,) + b, c("conv_backlog_push", "node.backlog", "cas"))


def conv_backlog_drain(c):
    chain = yield update("backlog", lambda b: (), c("conv_backlog_drain", "node.backlog", "exchange"))
    for packet in reversed(chain):
        yield write(packet, (yield read(packet)) + 1)


def backlog(c, pushers):
    def work(bits):
        if "packet" in bits:
            yield from conv_backlog_drain(c)

    def inside():
        yield from use("state")
        yield from conv_leave(c, work)

    def brings(packet):
        def run():
            if not (yield from conv_get_live(c)):
                return
            yield from conv_backlog_push(c, packet)
            if (yield from conv_enter_or(c, frozenset(["packet"]), work)):
                yield from conv_backlog_drain(c)
                yield from use("state")
                yield from conv_leave(c, work)
            else:
                yield from node_unref(c)
        return run
    packets = ["packet%d" % i for i in range(pushers)]
    init = {"word": Word(refs=2, inside=True), "state": 0, "backlog": ()}
    init.update({p: 0 for p in packets})
    return Test([inside] + [brings(p) for p in packets], init, ("state", *packets),
                lambda r, m: work_stands(m) or m["backlog"] or any(m[p] != 2 for p in packets) or m["word"].refs != 1)


def backlog_one(c):
    """A packet is left to the one inside: it is delivered once, whole."""
    return backlog(c, 1)


def backlog_two(c):
    """Two push at once: the chain keeps both."""
    return backlog(c, 2)


def kick_list(c):
    """A node that is left with work standing, or kicked, is visited; and by whoever unlinks it last, with all that was brought."""
    def work(bits):
        yield from use("state")
        if "kick" in bits:
            yield write("queue", (yield read("queue")) + 1)

    def leaves():
        yield from use("state")
        if (yield from conv_leave_standing(c)):
            yield from conv_run_kicks(c, work)

    def kicks():
        yield write("queue", 1)
        if (yield from conv_kick(c, frozenset(["kick"]))):
            yield from conv_run_kicks(c, work)
        yield from node_unref(c)
    return Test([leaves, kicks], {"word": Word(refs=3, inside=True, work=frozenset(["timer"])), "state": 0, "queue": 0}, ("state", "queue"),
                lambda r, m: m["word"].work or m["queue"] != 2 or m["word"].refs != 1)


def left_standing(c):
    """Who enters a node that was left with work standing sees what was done inside."""
    def leaves():
        yield from use("state")
        yield from conv_leave_standing(c)

    def enters():
        if (yield from conv_enter(c)) == "in":
            yield from use("state")
    return Test([leaves, enters], {"word": Word(refs=3, inside=True, work=frozenset(["timer"])), "state": 0}, ("state",), None)


# ---- inboxes ----

def conv_inbox_push(c, node):
    head = yield load("inbox")
    while True:
        yield store("next" + node, head, c("conv_inbox_push", "conv_node.post_next", "store"))
        seen = yield update("inbox", lambda i: node if i == head else None, c("conv_inbox_push", "seat.inbox", "cas"))
        if seen == head:
            return
        head = seen


def inbox(c):
    """Two nodes are posted to a seat by two threads: the one chain that is taken holds what its head promises, to its end."""
    def post(node):
        def run():
            yield write("queue" + node, 1)
            yield from conv_inbox_push(c, node)
        return run

    def takes():
        taken = ""
        node = yield update("inbox", lambda i: "", c("conv_run_inbox", "seat.inbox", "exchange"))
        while node:
            taken += node
            yield read("queue" + node)
            node = yield load("next" + node, c("conv_run_inbox", "conv_node.post_next", "load"))
            if node == "?":
                raise Bad("the link was not written yet")
        return taken

    def lost(r, m):
        left, node = r[2], m["inbox"]
        while node:
            left, node = left + node, m["next" + node]
        return sorted(left) != ["a", "b"]
    return Test([post("a"), post("b"), takes], {"inbox": "", "nexta": "?", "nextb": "?", "queuea": 0, "queueb": 0},
                ("queuea", "queueb"), lost)


def posted_work(c):
    """Control posts a bit: either the reader of the inbox sees it after it has cleared POSTED, or the node is posted anew."""
    def work(bits):
        yield write("queue", (yield read("queue")) + 1)

    def posts():
        yield write("queue", 1)
        w = yield update("word", lambda w: w._replace(work=w.work | {"hangup"}) if w.inside or w.posted else
                         w._replace(work=w.work | {"hangup"}, posted=True, refs=w.refs + 1), c("conv_post", "node.word", "cas"))
        if not (w.inside or w.posted):
            yield from conv_run_inbox()

    def conv_run_inbox():
        yield update("word", lambda w: w._replace(posted=False), c("conv_run_inbox", "node.word", "and"))
        yield from conv_enter_standing(c, work)
    return Test([conv_run_inbox, posts], {"word": Word(refs=2, posted=True), "queue": 0}, ("queue",),
                lambda r, m: m["word"].work or m["queue"] != 2 or m["word"].refs != 1)


# ---- timers: lib/conv/timer.c ----

NONE, UNARMED = "none", "unarmed"


def timer_earlier(c):
    """The owner puts a timer off to 10 while another moves it from 10 to 7: the owner sees that, or is told."""
    def timer_look():
        at = yield load("deadline", c("timer_look", "conv_timer.deadline", "load"))
        while True:
            yield store("when", at, c("timer_look", "conv_timer.when", "store"))
            now = yield load("deadline", c("timer_look", "conv_timer.deadline", "load", 1))
            if now >= at:
                return at
            at = now

    def conv_timer_set():
        yield update("deadline", lambda d: 7, c("conv_timer_set", "conv_timer.deadline", "cas"))
        when = yield load("when", c("conv_timer_set", "conv_timer.when", "load"))
        return 7 < when  # posted
    return Test([timer_look, conv_timer_set], {"deadline": 10, "when": 5}, (), lambda r, m: r[0] > 7 and not r[1])


def timer_posted(c):
    """It moves earlier while its post stands in the owner's inbox: the owner clears POSTED and then reads the deadline; the mover does
    not post again if POSTED stands. Death moves it to now in the same way."""
    def mover(function):
        def run():
            yield update("deadline", lambda d: 7, c(function, "conv_timer.deadline", "cas"))
            w = yield load("word", c("conv_post_timer", "node.word", "load"))
            while not w.posted:
                seen = yield update("word", lambda v: None if v.posted else v._replace(posted=True, refs=v.refs + 1),
                                    c("conv_post_timer", "node.word", "cas"))
                if not seen.posted:
                    return True
                w = seen
            return False
        return run

    def conv_run_inbox():
        yield update("word", lambda w: w._replace(posted=False), c("conv_run_inbox", "node.word", "and"))
        return (yield load("deadline", c("conv_timer_posted", "conv_timer.deadline", "load")))

    def posts():
        yield update("word", lambda w: w._replace(posted=True, refs=w.refs + 1), c("conv_post", "node.word", "cas"))
        yield from conv_run_inbox()
        return (yield load("deadline", c("conv_timer_posted", "conv_timer.deadline", "load")))
    return [Test([reader, mover(f)], {"deadline": 10, "word": Word(refs=2, posted=reader is conv_run_inbox)}, (),
                 lambda r, m: r[0] != 7 and not r[1]) for f in ("conv_timer_set", "conv_timer_cancel") for reader in (conv_run_inbox, posts)]


def timer_arm(c, number):
    yield write("links", (yield read("links")) + 1)
    yield store("owner", number)
    yield store("when", 9)
    yield store("deadline", 9, c("timer_arm", "conv_timer.deadline", "store"))


def conv_timer_set(c, number):
    was = yield load("deadline", c("conv_timer_set", "conv_timer.deadline", "load"))
    while was != UNARMED:
        seen = yield update("deadline", lambda d: 9 if d == was else None, c("conv_timer_set", "conv_timer.deadline", "cas"))
        if seen == was:
            return
        was = seen
    yield from timer_arm(c, number)


def timer_let_go(c):
    """The owner unlinks a node whose timer is due; who arms it next becomes the owner of the links, and the old one, who is told of it
    by an inbox, must see that they are not his any more."""
    def old_owner():
        yield write("links", (yield read("links")) + 1)  # unlinked
        at = yield load("deadline", c("timer_look", "conv_timer.deadline", "load"))
        seen = yield update("deadline", lambda d: UNARMED if d == at else None, c("timer_look", "conv_timer.deadline", "cas"))
        if seen != at:
            yield write("links", (yield read("links")) + 1)  # it was moved: linked again
        at = yield load("deadline", c("conv_timer_posted", "conv_timer.deadline", "load"))
        if at != UNARMED and (yield load("owner", c("timer_owner", "conv_node.owner", "load"))) == 1:
            yield write("links", (yield read("links")) + 1)

    def inside():
        yield from conv_timer_set(c, 2)
    return Test([old_owner, inside], {"deadline": 5, "owner": 1, "when": 5, "links": 0}, ("links",), None)


def timer_owner(c):
    """Who is inside after the one that armed it reads the owner of an armed timer: with the deadline, or by having entered."""
    def arms():
        yield from timer_arm(c, 2)
        yield from conv_leave(c, nothing)

    def cancels():
        if (yield from conv_enter(c)) != "in":
            return
        if (yield load("deadline", c("conv_timer_take", "conv_timer.deadline", "load"))) != UNARMED:
            if (yield load("owner", c("timer_owner", "conv_node.owner", "load"))) != 2:
                raise Bad("it is taken out of another seat's wheel")
        was = yield load("deadline", c("conv_timer_cancel", "conv_timer.deadline", "load"))
        while was != UNARMED:
            seen = yield update("deadline", lambda d: 0 if d == was else None, c("conv_timer_cancel", "conv_timer.deadline", "cas"))
            if seen == was:
                if (yield load("owner", c("timer_owner", "conv_node.owner", "load"))) != 2:
                    raise Bad("another seat is told")
                return
            was = seen
    return Test([arms, cancels], {"word": Word(refs=2, inside=True), "deadline": UNARMED, "owner": 1, "when": 0, "links": 0}, ("links",), None)


def timer_peek(c):
    """Who is not inside looks at the links of a timer that is armed in his own wheel, and at no others."""
    def arms():
        yield from timer_arm(c, 2)

    def conv_timer_prefetch():
        at = yield load("deadline", c("conv_timer_prefetch", "conv_timer.deadline", "load"))
        if at != UNARMED and (yield load("owner", c("timer_owner", "conv_node.owner", "load"))) == 1:
            yield read("links")
    return Test([arms, conv_timer_prefetch], {"deadline": UNARMED, "owner": 1, "when": 0, "links": 0}, ("links",), None)


def timer_stopped(c):
    """A timer is stopped: the owner lets go of it when it next looks. Nothing but the value is handed over."""
    def conv_timer_stop():
        yield write("links", 1)
        was = yield load("deadline", c("conv_timer_stop", "conv_timer.deadline", "load"))
        while was not in (UNARMED, NONE):
            seen = yield update("deadline", lambda d: NONE if d == was else None, c("conv_timer_stop", "conv_timer.deadline", "cas"))
            if seen == was:
                return True
            was = seen
        return False

    def timer_look():
        at = yield load("deadline", c("timer_look", "conv_timer.deadline", "load"))
        while True:
            seen = yield update("deadline", lambda d: UNARMED if d == at else None, c("timer_look", "conv_timer.deadline", "cas"))
            if seen == at:
                return "put" if at == NONE else "fired"
            at = seen
    return Test([conv_timer_stop, timer_look], {"deadline": 5, "links": 0}, ("links",),
                lambda r, m: m["deadline"] != UNARMED and not (r[0] and r[1] == "fired") or r[0] and r[1] == "fired")


# ---- the table, birth and death ----

RELEASE, ACQUIRE = "release", "acquire"  # of what is not ours: rings and spin locks


def node_get(c):
    w = yield update("word", lambda w: None if w.refs == 0 else w._replace(refs=w.refs + 1), c("node_get", "node.word", "cas"))
    return w.refs > 0


def bucket_node(c):
    return (yield load("entry", c("bucket_node", "ipht_bucket.entry", "load")))


def publish(c):
    """A conversation is built before anyone finds it: in the table, or in the slab by its number (listings and handles)."""
    def conv_publish(by):
        def run():
            yield write("state", 1)
            yield store("word", Word(refs=1, listed=False, work=frozenset(["kick"])), c("conv_flip", "node.word", "store"))
            yield store("entry", "node", c(by, "ipht_bucket.entry", "store"))
            yield from listed()
        return run

    def listed():
        yield update("word", lambda w: w._replace(listed=True), c("conv_mark_listed", "node.word", "or"))

    def finds():
        if (yield from bucket_node(c)) and (yield from node_get(c)):
            yield read("state")

    def lists():
        w = yield update("word", lambda w: None if w.dead or not w.listed or w.refs == 0 else w._replace(refs=w.refs + 1),
                         c("conv_get_gen", "node.word", "cas"))
        if not w.dead and w.listed and w.refs > 0:
            yield read("state")
    init = {"word": Word(refs=1, dead=True, listed=False), "entry": "", "state": 0}
    return [Test([conv_publish(by), finds, lists], init, ("state",), None) for by in ("chain_insert", "ipht_replace")]


def found_dead(c):
    """Who meets a node that has died and looks again finds the table changed, be it by the word's refusal or by its last reference."""
    def again(get):
        def run():
            n = yield from bucket_node(c)
            if n == "old" and not (yield from get()):
                return (yield from bucket_node(c))
        return run

    def enters():
        return (yield from conv_enter(c)) == "in"

    def holds():
        return (yield from conv_get_live(c))

    def looks():
        if (yield from node_get(c)):
            return True
        yield fence(c("ipht_look", "fence", "fence"))
        return False

    def closes():
        yield store("entry", "", c("chain_remove", "ipht_bucket.entry", "store"))
        yield update("word", lambda w: w._replace(dead=True, refs=w.refs - 1), c("conv_mark_dead", "node.word", "cas"))

    def puts():
        yield from closes()
        yield from node_unref(c)
    init = {"word": Word(refs=2), "entry": "old"}
    return [Test([by, again(get)], init, (), lambda r, m: r[1] == "old")
            for by, get in ((closes, enters), (closes, holds), (puts, looks))]


def stale_handle(c):
    """A handle names a generation: never a reference on the slot's next one, and never on one that is not built."""
    def lives_again():
        yield update("word", lambda w: w._replace(dead=True, refs=w.refs - 1), c("conv_mark_dead", "node.word", "cas"))
        yield from node_unref(c)  # and, a grace period later:
        yield store("word", Word(refs=0, dead=False, listed=False, gen=2), c("conv_reclaimed", "node.word", "store"))
        yield write("state", 2)
        yield store("word", Word(refs=1, dead=True, listed=False, gen=2), c("conv_alloc", "node.word", "store"))
        yield store("word", Word(refs=1, dead=False, listed=False, gen=2), c("conv_flip", "node.word", "store"))
        yield update("word", lambda w: w._replace(listed=True), c("conv_mark_listed", "node.word", "or"))

    def by_handle(gen):
        def run():
            def takes(w):
                return not w.dead and w.listed and w.refs > 0 and w.gen == gen
            w = yield update("word", lambda w: w._replace(refs=w.refs + 1) if takes(w) else None, c("conv_get_gen", "node.word", "cas"))
            if takes(w) and gen == 2:
                if (yield read("state")) != 2:
                    raise Bad("another one's state")
            return takes(w)
        return run
    # The first handle's reference must keep the slot from being reused: that it holds one is seen by who retires it.
    return Test([lives_again, by_handle(2)], {"word": Word(refs=2), "state": 1}, ("state",), None)


HELD = 1000  # a link of a bucket: the number of the next one, and this while its chain is held


def chain_lock(c):
    link = yield update("link", lambda link: None if link >= HELD else link + HELD, c("chain_lock", "ipht_bucket.tags", "cas"))
    return link < HELD


def chain_unlock(c):
    link = yield load("link", c("chain_unlock", "ipht_bucket.tags", "load"))
    yield store("link", link - HELD, c("chain_unlock", "ipht_bucket.tags", "store"))


def chain_writers(c):
    """One writer at a time has a chain, and sees what those before him did."""
    def writer():
        if not (yield from chain_lock(c)):
            return 0  # waits: for this many steps
        yield from use("chain")
        yield from use("chain")
        yield from chain_unlock(c)
        return 2
    return Test([writer] * 2, {"link": 0, "chain": 0}, ("chain",), lambda r, m: m["chain"] != sum(r))


def chain_links(c):
    """Who follows a chain, while it grows or gets shorter, finds each bucket as it was when it was chained: the last one."""
    FREE = 7  # what the link of a spare bucket is while it is free: it leads to another spare one

    def grows(link):
        def run():
            if not (yield from chain_lock(c)):
                return
            was = yield load(link, c("chain_extend", "ipht_bucket.tags", "load"))
            yield store("last", 0, c("spare_get", "ipht_bucket.tags", "store"))
            yield store(link, was + 2, c("chain_extend", "ipht_bucket.tags", "store"))
            yield from chain_unlock(c)
        return run

    def gets_shorter():
        """The bucket between the first and the last one has become empty."""
        if not (yield from chain_lock(c)):
            return
        if (yield load("between", c("chain_shorten", "ipht_bucket.tags", "load"))) == 2:
            first = yield load("link", c("chain_shorten", "ipht_bucket.tags", "load", 1))
            yield store("link", first + 1, c("chain_shorten", "ipht_bucket.tags", "store"))
        yield from chain_unlock(c)

    def follows():
        order = c("bucket_link", "ipht_bucket.tags", "load")
        at = (yield load("link", order)) % HELD
        if at == 1:
            at = yield load("between", order)
        if at == 2 and (yield load("last", order)) == FREE:
            raise Bad("a chain that goes on to what is no part of it")
    return [Test([grows("link"), follows], {"link": 0, "last": FREE, "between": 0}, (), None),
            Test([grows("between"), gets_shorter, follows], {"link": 1, "between": 0, "last": FREE}, (), None)]


def spare_buckets(c):
    """One at a time has the list of spare buckets, and sees what those before him did."""
    def user():
        if (yield update("held", lambda h: 1, c("spare_lock", "ipht.spare_held", "exchange"))) != 0:
            return 0
        yield from use("free")
        yield from use("free")
        yield store("held", 0, c("spare_unlock", "ipht.spare_held", "store"))
        return 2
    return Test([user] * 2, {"held": 0, "free": 0}, ("free",), lambda r, m: m["free"] != sum(r))


# ---- listeners ----

def listener_opens(c):
    """A worker that sees a listener open sees all of it; this is how each protocol looks."""
    def listener_open():
        yield write("options", 1)
        yield store("closed", False, c("listener_open", "listener.closed", "store"))

    def looks(function):
        def run():
            if not (yield load("closed", c(function, "listener.closed", "load"))):
                yield read("options")
        return run
    return [Test([listener_open, looks(f)], {"closed": True, "options": 0}, ("options",), None) for f in ("tcp_listener", "udp_listener")]


def listener_closes(c):
    """A call that was taken while its listener closed is seen to be an orphan, once the close is seen (a grace period later at the latest)."""
    def listener_close():
        yield update("gen", lambda g: g + 1, c("listener_close", "listener.gen", "add"))
        yield store("closed", True, c("listener_close", "listener.closed", "store"))
        yield store("grace", 1, RELEASE)

    def takes():
        if (yield load("closed", c("tcp_listener", "listener.closed", "load"))):
            return None
        gen = yield load("gen", c("tcp_half_open_make", "listener.gen", "load"))
        grace = yield load("grace", ACQUIRE)
        orphan = (yield load("gen", c("tcp_half_open_orphan", "listener.gen", "load"))) != gen or \
            (yield load("closed", c("tcp_half_open_orphan", "listener.closed", "load")))
        served = not (yield load("closed", c("tcp_serve_opening", "listener.closed", "load")))
        return grace and (served or not orphan)
    return Test([listener_close, takes], {"gen": 1, "closed": False, "grace": 0}, (), lambda r, m: r[1])


def listener_freed(c):
    """Who finds that nobody holds a closed listener frees it: after all that was done with it."""
    def listener_let_go():
        yield read("listener")
        yield store("convs", 0, c("listener_let_go", "listener_cell.convs", "store"))

    def frees():
        if (yield load("convs", c("listener_convs", "listener_cell.convs", "load"))) == 0:
            yield write("listener", None)
    return Test([listener_let_go, frees], {"convs": 1, "listener": 1}, ("listener",), None)


# ---- seats and sleep: lib/stack/seat.c ----

def worker_up(c):
    """Who sees that a worker is up knows since when."""
    def stack_worker_join():
        yield store("joined", 1, c("stack_worker_join", "stack_thread.joined_us", "store"))
        yield store("up", True, c("stack_worker_join", "stack_thread.up", "store"))

    def looks():
        if (yield load("up", c("stack_worker_up", "stack_thread.up", "load"))):
            return (yield load("joined", c("stack_worker_counters", "stack_thread.joined_us", "load")))
        return 1
    return Test([stack_worker_join, looks], {"joined": 0, "up": False}, (), lambda r, m: r[1] == 0)


def seat_hands(c):
    """A seat changes hands: who finds himself its owner sees what the one before did with it; and finds it, if `hands` has moved on."""
    def stack_hands_move():
        yield update("hands", lambda h: h + 1, c("stack_hands_move", "stack.hands", "add"))

    def gives():
        yield from use("seat")
        hands = yield load("hands", c("stack_thread_seats", "stack.hands", "load"))
        if hands == 1 and (yield load("wanted")) == 2:
            if (yield load("owner", c("seat_owner", "stack_seat.owner", "load"))) == 1:
                yield store("owner", 2, c("stack_thread_seats", "stack_seat.owner", "store"))
                yield from stack_hands_move()

    def deals():
        yield store("wanted", 2, c("stack_workers_set", "stack_seat.wanted", "store"))
        yield from stack_hands_move()

    def takes():
        hands = yield load("hands", c("stack_thread_seats", "stack.hands", "load"))
        if (yield load("owner", c("seat_owner", "stack_seat.owner", "load"))) == 2:
            yield from use("seat")
        elif hands == 2:
            raise Bad("hands have moved for the last time, and nobody serves the seat")

    def dealt():
        hands = yield load("hands", c("stack_thread_seats", "stack.hands", "load"))
        if hands == 1 and (yield load("wanted")) != 2:
            raise Bad("hands have moved, and the deal is not seen")
    init = {"hands": 0, "wanted": 1, "owner": 1, "seat": 0}
    return [Test([gives, deals, takes], init, ("seat",), None), Test([deals, dealt], init, ("seat",), None)]


def sleeper(loc, fence_before, fence_behind, wakes=None):
    """Work is stored, a fence, `asleep` is read; or `asleep` is stored, a fence, work is looked for."""
    def brings():
        yield store(loc, 1, RELEASE)
        yield fence(fence_behind)
        if (yield load("asleep")):
            return (yield update("asleep", lambda a: False))
        return False

    def sleeps():
        yield store("asleep", True)
        yield fence(fence_before)
        return (yield load(loc)) == 0
    return Test([brings, sleeps], {loc: 0, "asleep": False}, (), lambda r, m: r[1] and not r[0])


def worker_sleeps(c):
    """A worker does not sleep on work."""
    return sleeper("ring", c("stack_worker_doze", "fence", "fence"), c("stack_seat_wake", "fence", "fence"))


def reclaimer_sleeps(c):
    """The reclaimer does not sleep on a batch."""
    return sleeper("batch", c("urcu_sleep", "fence", "fence"), c("urcu_submit", "fence", "fence"))


def seat_wakes(c):
    """Work comes to a seat that is just changing hands: the new owner has seen it, or is woken, or looks."""
    def brings():
        yield store("ring", 1, RELEASE)
        yield fence(c("stack_seat_wake", "fence", "fence"))
        return (yield load("owner"))

    def sleeps():
        if (yield load("owner", c("seat_owner", "stack_seat.owner", "load"))) != 2:
            return False
        yield fence(c("stack_worker_doze", "fence", "fence"))
        return (yield load("ring")) == 0

    def gives():
        yield store("owner", 2, c("stack_thread_seats", "stack_seat.owner", "store"))
    return Test([brings, sleeps, gives], {"ring": 0, "owner": 1}, (), lambda r, m: r[1] and r[0] != 2)


def queue_token(c):
    """A frame in a shared queue's ring is sent by who has the token, or by who brought it."""
    def drains(first):
        def run():
            if first:
                yield update("token", lambda t: 0, RELEASE)  # lets go, after a round that found nothing
            else:
                yield update("ring", lambda r: r + 1, RELEASE)
            yield fence(c("port_drain", "fence", "fence"))
            if (yield load("ring")) == 0:
                return 0
            if (yield update("token", lambda t: 1 if t == 0 else None, ACQUIRE)) != 0:
                return 0
            return (yield update("ring", lambda r: 0, ACQUIRE))
        return run
    return Test([drains(True), drains(False)], {"ring": 0, "token": 1}, (), lambda r, m: sum(r) != 1)


# ---- lib/ip ----

def ip_gen(c):
    """A path that is made under a number is made of what that number counts; the same where a path is used."""
    def changes():
        yield store("route", 2)
        yield update("gen", lambda g: g + 1, c("ip_changed", "ip.gen", "add"))

    def wraps():
        yield store("route", 2)
        yield update("gen", lambda g: g + 1, c("ip_changed", "ip.gen", "add", 1))

    def uses(function):
        def run():
            gen = yield load("gen", c(function, "ip.gen", "load"))
            return gen, (yield load("route"))
        return run
    return [Test([by, uses(f)], {"gen": 1, "route": 1}, (), lambda r, m: r[1] == (2, 1))
            for by, f in ((changes, "ip_path"), (changes, "ip_path_stands"), (wraps, "ip_path"))]


def sequence(reader_fence, writer_fence, name, first, last, again):
    """A sequence lock: odd while it is written. Never a mixture, and never the new under the old number."""
    def writes():
        yield store(name, 1)
        yield fence(writer_fence)
        yield store("a", 1)
        yield store("b", 1)
        yield store(name, 2, last)

    def reads():
        seq = yield load(name, first)
        a, b = (yield load("a")), (yield load("b"))
        yield fence(reader_fence)
        if seq & 1 == 0 and (yield load(name, again)) == seq and (a, b) != (seq // 2, seq // 2):
            raise Bad(f"number {seq} with {a} and {b}")
    return Test([writes, reads], {name: 0, "a": 0, "b": 0}, (), None)


def router(c):
    """A learned router is read whole, or not at all."""
    return sequence(c("ip_router_read", "fence", "fence"), c("ip_router_write", "fence", "fence"), "seq",
                    c("ip_router_read", "ip_router.seq", "load"), c("ip_router_write", "ip_router.seq", "store", 1),
                    c("ip_router_read", "ip_router.seq", "load", 1))


def neighbour_address(c):
    """An entry's address is read whole under its generation."""
    return sequence(c("neigh_is", "fence", "fence"), c("neigh_claim", "fence", "fence"), "gen",
                    c("neigh_is", "neigh.gen", "load"), c("neigh_claim", "neigh.gen", "store", 1), c("neigh_is", "neigh.gen", "load", 1))


def neighbour_word(c):
    """A path that remembers an entry by its generation never sends to the hardware address of the one before or after it. The
    table's lock hands the entry from writer to writer."""
    def claims():
        yield store("word", "free", c("neigh_set", "neigh.word", "store"))
        yield store("gen", 4, c("neigh_release", "neigh.gen", "store"))
        yield store("gen", 5, c("neigh_claim", "neigh.gen", "store"))
        yield fence(c("neigh_claim", "fence", "fence"))
        yield store("gen", 6, c("neigh_claim", "neigh.gen", "store", 1))
        yield store("lock", 1, RELEASE)

    def learns():
        if (yield load("lock", ACQUIRE)):
            yield store("word", "mac6", c("neigh_set", "neigh.word", "store"))

    def neigh_known(mine):
        def run():
            gen = yield load("gen", c("neigh_known", "neigh.gen", "load"))
            word = yield load("word", c("neigh_known", "neigh.word", "load"))
            if gen == mine and word != "free" and (yield load("gen", c("neigh_known", "neigh.gen", "load", 1))) == gen:
                if word != "mac%d" % mine:
                    raise Bad(f"{word} under {mine}")
        return run
    # A path can have the number 4, too: of an entry that was released between the look-up and now.
    return [Test([claims, learns, neigh_known(mine)], {"gen": 2, "word": "mac2", "lock": 0}, (), None) for mine in (2, 4, 6)]


# ---- convgen: app/gen_conn.c ----

def gen_gone(c):
    """A connection whose conversation has ended while it stood on a list of idle ones is found as that left it."""
    def gen_ended():
        yield write("not_before", 1)
        yield update("stage", lambda s: "gone" if s == "idle" else None, c("gen_ended", "gen_conn.stage", "cas"))

    def gen_ask():
        s = yield update("stage", lambda s: "busy" if s == "idle" else None, c("gen_ask", "gen_conn.stage", "cas"))
        if s == "gone":
            yield read("not_before")
    return Test([gen_ended, gen_ask], {"stage": "idle", "not_before": 0}, ("not_before",), None)


def gen_asked(c):
    """Who is asked to send knows when that was due."""
    def asks(by):
        def run():
            yield write("due", 1)
            yield store("asked", True, c(by, "gen_conn.asked", "store"))
        return run

    def gen_kicked():
        if (yield update("asked", lambda a: False, c("gen_kicked", "gen_conn.asked", "exchange"))):
            yield read("due")
    return [Test([asks(by), gen_kicked], {"asked": False, "due": 0}, ("due",), None) for by in ("gen_ask", "gen_sweep")]


IDIOMS = [enter_and_leave, last_owner, last_of_two, bits_left, backlog_one, backlog_two, kick_list, left_standing, inbox, posted_work,
          timer_earlier, timer_posted, timer_let_go, timer_owner, timer_peek, timer_stopped, publish, found_dead, stale_handle, chain_writers, chain_links, spare_buckets,
          listener_opens, listener_closes, listener_freed, worker_up, seat_hands, worker_sleeps, reclaimer_sleeps, seat_wakes, queue_token, ip_gen, router,
          neighbour_address, neighbour_word, gen_gone, gen_asked]
