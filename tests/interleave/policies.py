# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""What scripts/interleave.py takes out of the code, or puts in its place: (file, as it is, as it becomes).

PROTECTIONS: one each; the scenarios named must notice. CONTROLS: the lifetime policies of classic designs; they prove that
the scenarios bite.
"""
import collections

Change = collections.namedtuple("Change", "file old new")
Protection = collections.namedtuple("Protection", "name what changes fails says test", defaults=("", "interleave/interleave"))
Control = collections.namedtuple("Control", "name what changes fails passes")

ENTER, CONV, INPUT = "lib/conv/enter.c", "lib/conv/conv.c", "lib/conv/input.c"
TIMER, IPHT, LISTENER = "lib/conv/timer.c", "lib/ipht/ipht.c", "lib/conv/listener.c"
LISTEN, SERVICE, UDP = "lib/tcp/tcp_listen.c", "lib/tcp/tcp_service.c", "lib/udp/udp_service.c"

# ---- one protection at a time ----

NO_GET_NOT_ZERO = Change(ENTER, "if ((word & NODE_DEAD) != 0 || node_refs(word) == 0) {\n\t\t\tw->seat->c.get_failed++;\n"
                         "\t\t\t/* Pairs", "if (false) {\n\t\t\t/* Pairs")
NO_RECHECK = Change(ENTER, "} else if (!key_equal(&cn->n.key, &pkt_of(m)->key.k)) {", "} else if (false) {")
NO_GRACE = Change("lib/conv/reclaim_virtual.c", "if (v->seen[i] < epoch)", "if (false && v->seen[i] < epoch)")
NO_GRACE_THREADS = Change("lib/conv/reclaim_urcu.c", "\t\turcu_qsbr_synchronize_rcu();\n", "")
CALL_OF_CLOSED = "if (atomic_load_explicit(&%s->closed, memory_order_relaxed)) {"

PROTECTIONS = [
    Protection("get-not-zero", "who has found a node enters it, dead or not", [NO_GET_NOT_ZERO], ["reuse", "reopen"]),
    Protection("hold", "who has found a node enters it, though somebody is inside",
               [Change(ENTER, "if ((word & NODE_INSIDE) != 0) {\n\t\t\tw->seat->c.busy++;\n\t\t\treturn CONV_BUSY;",
                       "if (false) {\n\t\t\treturn CONV_BUSY;")], ["backlog", "a1"]),
    Protection("grace period", "a retired slot is free at once", [NO_GRACE], ["reuse", "a1", "a2", "a4", "a5"], "I5"),
    Protection("re-check", "with the grace period out as well, nobody compares the tuple after entering",
               [NO_GRACE, NO_GRACE_THREADS, NO_RECHECK], ["a1", "a2"], "delivered|ended"),
    Protection("looked up again", "a packet that finds its node dead has met nobody",
               [Change(ENTER, "\tif (conv_dead(cn)) {\n\t\tconv_again(w, m);\n",
                       "\tif (conv_dead(cn)) {\n\t\tw->convs->miss[pkt_of(m)->kind](w, m);\n"),
                Change(INPUT, "\t\telse\n\t\t\tconv_again(w, b->m[i]);\n", "\t\telse\n\t\t\tconv_miss(w, b->m[i]);\n")], ["replace"]),
    Protection("table before DEAD", "a node is dead before it has left the table",
               [Change(CONV, "\tcn->position = ipht_rem(w->convs->ipht, &cn->n);\n",
                       "\tatomic_fetch_or(&cn->n.word, NODE_DEAD);\n\tcn->position = ipht_rem(w->convs->ipht, &cn->n);\n")],
               ["reopen"]),
    Protection("insert-if-absent", "the last of two births has the tuple",
               [Change(IPHT, "\tif (winner != NULL) {\n\t\tif (ret", "\tif (false) {\n\t\tif (ret")], ["births", "c6", "c7"]),
    Protection("compare-and-remove", "who leaves the table takes along whoever has the tuple",
               [Change(IPHT, "\tstruct place p = chain_find(h, first, n);\n\tint spare",
                       "\tstruct place p = chain_find(h, first, ipht_peek(h, &n->key, n->hash));\n\tint spare")],
               ["test_late_closer"], "", "unit/ipht_test"),
    Protection("replace in one step", "the old node leaves, then the young one comes",
               [Change(IPHT, "\tPOINT(\"replace\", &t->nodes);\n",
                       "\tif (p.i < IPHT_ENTRIES)\n\t\tatomic_store(&p.b->entry[p.i], 0);\n\tPOINT(\"replace\", &t->nodes);\n")],
               ["replace"]),
    Protection("a chain's lock", "two write at once",
               [Change(IPHT, "\t\t\t\t   link | LINK_HELD, memory_order_acquire", "\t\t\t\t   link, memory_order_acquire")],
               ["births", "c6", "c7"]),
    Protection("generation in handles", "a handle names whoever has the slot",
               [Change(CONV, "(gen != 0 && node_gen(word) != gen)", "(gen != 0 && gen == 0)")], ["d1", "d3"]),
    Protection("listed", "a handle or a listing finds what the table does not have yet",
               [Change(CONV, "(word & (NODE_DEAD | NODE_LISTED)) != NODE_LISTED ||", "")], ["b6"]),
    Protection("built before found", "a call is in the table before its accept is due",
               [Change(ENTER, "\t\terr = conv_publish(w, cn, NODE_KICK, &winner);",
                       "\t\terr = conv_publish(w, cn, 0, &winner);\n\tif (cn != NULL && err == 0)\n"
                       "\t\tatomic_fetch_or(&cn->n.word, NODE_KICK);")], ["c7"], "before accept"),
    Protection("nothing left of a tenant", "a slot is not wiped",
               [Change(CONV, "\tmemset(&cn->timer, 0, s->ops.size - offsetof(struct conv_node, timer));\n", "")], ["h5"]),
    Protection("late work in conv_leave", "who leaves does not look for work that came meanwhile",
               [Change(ENTER, "\t\tif ((word & NODE_WORK) != 0) {\n\t\t\tif (rounds", "\t\tif (false) {\n\t\t\tif (rounds")],
               ["backlog"]),
    Protection("late look of who brings", "who has left a packet for the one inside does not look whether he has gone",
               [Change(ENTER, "next = (word & NODE_INSIDE) != 0 ? word | bits : (word & ~NODE_WORK) | NODE_INSIDE;",
                       "next = (word & NODE_INSIDE) != 0 || (bits & NODE_PACKET) != 0 ? word | bits : (word & ~NODE_WORK) | NODE_INSIDE;"),
                Change(ENTER, "\tif ((word & NODE_INSIDE) != 0) {\n\t\tw->seat->c.busy++;\n\t\treturn false;",
                       "\tif ((word & NODE_INSIDE) != 0 || (bits & NODE_PACKET) != 0) {\n\t\tw->seat->c.busy++;\n\t\treturn false;")],
               ["backlog"]),
    Protection("a reference while pushing", "who brings a packet to one inside holds nothing",
               [Change(ENTER, "\t} else {\n\t\tconv_put(w, cn);\n\t}\n}\n\nvoid\nconv_hold", "\t}\n}\n\nvoid\nconv_hold"),
                Change(ENTER, "&cn->n.word, &word, word + NODE_REF, memory_order_relaxed, memory_order_relaxed));\n\treturn true;",
                       "&cn->n.word, &word, word, memory_order_relaxed, memory_order_relaxed));\n\treturn true;")],
               ["backlog", "death"]),
    Protection("the kick's reference", "a node on a kick list is not held",
               [Change(ENTER, "next = (next | NODE_QUEUED) + NODE_REF;", "next = (next | NODE_QUEUED);")], ["g1", "a7"]),
    Protection("the inbox's reference", "a node in an inbox is not held",
               [Change(ENTER, "next = (next | NODE_POSTED) + NODE_REF;", "next = (next | NODE_POSTED);")], ["hangup", "g6"]),
    Protection("unlinked, then looked at", "QUEUED goes after the look at the bits",
               [Change(ENTER, "atomic_fetch_and_explicit(&cn->n.word, ~NODE_QUEUED, memory_order_relaxed);\n"
                       "\t\tconv_enter_standing(w, cn);",
                       "conv_hold(cn);\n\t\tconv_enter_standing(w, cn);\n\t\tPOINT(\"unlink kick late\", &cn->n.word);\n"
                       "\t\tatomic_fetch_and_explicit(&cn->n.word, ~NODE_QUEUED, memory_order_relaxed);\n\t\tconv_put(w, cn);")],
               ["kicks"]),
    Protection("dead is dead", "work is done for a node that has died",
               [Change(ENTER, "if (bits != 0 && !conv_dead(cn))", "if (bits != 0)")], ["hangup"]),
    Protection("the timer's reference", "a node in a wheel is not held",
               [Change(TIMER, "\t\t\tconv_hold(cn);\n", "")], ["e1", "e7"]),
    Protection("the timer of the dead", "a death does not tell the timer's owner",
               [Change(CONV, "\tconv_timer_cancel(w, cn);\n", "")], ["e7"]),
    Protection("an earlier deadline", "who moves a deadline does not tell the owner",
               [Change(TIMER, "\tw->seat->c.timers_moved_remote++;\n\tconv_post_timer(w->convs, owner, cn);\n}\n\nvoid\nconv_timer_stop",
                       "}\n\nvoid\nconv_timer_stop")], ["e2"]),
    Protection("the owner's second look", "who puts a timer off does not look at the deadline again",
               [Change(TIMER, "if (now_at == CONV_TIMER_NONE || (int32_t)(now_at - at) >= 0)\n\t\t\treturn;",
                       "if (now_at != CONV_TIMER_UNARMED)\n\t\t\treturn;")], ["e2_put_off"]),
    Protection("TIMER for the one inside", "a timer that finds somebody inside is forgotten",
               [Change(TIMER, "if (!conv_enter_or(w, cn, NODE_TIMER)) {", "if (!conv_enter_or(w, cn, 0)) {")], ["e4"]),
    Protection("closed until complete", "a listener is open as soon as it is in the table",
               [Change(LISTENER, "atomic_init(&l->closed, true);", "atomic_init(&l->closed, false);")], ["a12"]),
    Protection("a listener's grace period", "a listener without conversations is freed at once",
               [Change(LISTENER, "if (l->fence != 0 && conv_fence_passed(w, l->fence) && listener_convs(l) == 0) {",
                       "if (listener_convs(l) == 0) {")], ["a10"]),
    Protection("a listener's count", "a listener is freed under its conversations",
               [Change(LISTENER, "conv_fence_passed(w, l->fence) && listener_convs(l) == 0) {",
                       "conv_fence_passed(w, l->fence)) {")], ["d5"]),
    Protection("no call of the closed: TCP", "a call is accepted though its listener has closed",
               [Change(SERVICE, CALL_OF_CLOSED % "tc->c.listener", "if (false) {")], ["a11", "f5"], "closed listener"),
    Protection("no call of the closed: UDP", "the same for a datagram",
               [Change(UDP, "if (!active && " + (CALL_OF_CLOSED % "uc->c.listener")[4:], "if (false) {")], ["a11_udp"],
               "closed listener"),
    Protection("generation of listeners", "a half-open call goes on without its listener",
               [Change(LISTEN, "\treturn h->gen != (uint16_t)atomic_load_explicit(&h->l->gen, memory_order_relaxed) ||\n"
                       "\t\tatomic_load_explicit(&h->l->closed, memory_order_relaxed);", "\treturn false;")], ["f5_syn"]),
]

# ---- controls ----

# Who has found a node enters it with nothing but its lock; dying takes the table's reference, kicks and timers keep theirs.
BARE = [
    NO_GET_NOT_ZERO, NO_RECHECK,
    Change(ENTER, "((word & ~NODE_WORK) | NODE_INSIDE) + NODE_REF, memory_order_acquire",
           "((word & ~NODE_WORK) | NODE_INSIDE), memory_order_acquire"),
    Change(ENTER, "assert(node_refs(word) > 0);\n\t\tnext = (word & NODE_INSIDE) != 0 ? word | bits : (word & ~NODE_WORK) | NODE_INSIDE;",
           "next = (word & NODE_INSIDE) != 0 ? word | bits : ((word & ~NODE_WORK) | NODE_INSIDE) - NODE_REF;"),
    Change(ENTER, "next = (word & NODE_QUEUED) != 0 ? (word & ~NODE_INSIDE) - NODE_REF\n"
           "\t\t\t\t\t\t : (word & ~NODE_INSIDE) | NODE_QUEUED;",
           "next = (word & NODE_QUEUED) != 0 ? (word & ~NODE_INSIDE) : ((word & ~NODE_INSIDE) | NODE_QUEUED) + NODE_REF;"),
    Change(ENTER, "assert((word & NODE_INSIDE) != 0 && node_refs(word) > 0);\n\t\tnext = (word & ~NODE_INSIDE) - NODE_REF;",
           "next = word & ~NODE_INSIDE;"),
    Change(ENTER, "\tw->in = NULL;\n\tif (node_refs(next) == 0)\n\t\tconv_retire(w, cn);",
           "\tw->in = NULL;\n\tif (node_refs(next) == 0 && (next & NODE_DEAD) != 0)\n\t\tconv_retire(w, cn);"),
    Change(CONV, "\tassert(node_refs(word) >= 2);\n", ""),
]
# A slot is free as soon as it is closed.
AT_ONCE = [
    Change(ENTER, "\tconv_retired_push(s, cn, w->now_us);\n",
           "\tconv_retired_push(s, cn, w->now_us);\n\ts->retired = (struct reclaim_batch){.head = NODE_ID_NONE};\n"
           "\tconv_reclaimed(w, &(struct reclaim_batch){.head = cn->n.id, .n = 1});\n"),
    Change(ENTER, "#include \"conv_priv.h\"\n",
           "#include \"conv_priv.h\"\nvoid conv_reclaimed(struct worker *w, const struct reclaim_batch *b);\n"),
    Change(CONV, "static void\nconv_reclaimed(", "void conv_reclaimed(struct worker *w, const struct reclaim_batch *b);\nvoid\nconv_reclaimed("),
]
# Who wants a conversation to run, later, has a pointer to it.
BARE_KICK = [
    Change("tests/interleave/hazards_reuse.c", "\tconv_hold(&held->cn);\n", ""),
    Change("tests/interleave/hazards_reuse.c", "\tif (c != NULL)\n\t\tconv_put(worker(i), &c->cn);",
           "\tif (c != NULL && c->cn.state == TCP_SYN_SENT)\n\t\tconv_put(worker(i), &c->cn);"),
]
NO_LISTENER_GENERATION = [c for p in PROTECTIONS if "of the closed" in p.name or p.name == "generation of listeners" for c in p.changes]
# The conversation's lock: who finds it taken waits.
LOCK = [
    Change(ENTER, "if ((word & NODE_INSIDE) != 0) {\n\t\t\tw->seat->c.busy++;\n\t\t\treturn CONV_BUSY;\n\t\t}",
           "while ((word & NODE_INSIDE) != 0) {\n\t\t\tPOINT_WAIT(\"wait for conversation\", &cn->n.word);\n"
           "\t\t\tword = atomic_load_explicit(&cn->n.word, memory_order_relaxed);\n\t\t}"),
]
# The protocol's lock, over look-up, input, closing and reuse: all of a turn; let go and taken again in the middle of
# what is done for a burst, as who sends an answer there did.
PROTOCOL_LOCK = [
    Change("lib/stack/turn.c", "static unsigned\nstack_turn_seat(struct stack *s, unsigned number)\n{",
           "extern _Atomic int protocol_locked;\n_Atomic int protocol_locked;\n\nstatic unsigned\nstack_turn_seat(struct stack *s, unsigned number)\n{"),
    Change("lib/stack/turn.c", "\tfor (unsigned ifc = 0; ifc < s->nifcs && !stack_spread_waits(seat); ifc++)\n\t\tn += stack_poll_ifc(seat, ifc);",
           "\tPOINT(\"lock protocol\", &protocol_locked);\n\twhile (atomic_exchange(&protocol_locked, 1) != 0)\n"
           "\t\tPOINT_WAIT(\"wait for protocol\", &protocol_locked);\n"
           "\tfor (unsigned ifc = 0; ifc < s->nifcs && !stack_spread_waits(seat); ifc++)\n\t\tn += stack_poll_ifc(seat, ifc);"),
    Change("lib/stack/turn.c", "\tw->c.turns++;\n", "\tPOINT(\"unlock protocol\", &protocol_locked);\n\tprotocol_locked = 0;\n\tw->c.turns++;\n"),
    Change(INPUT, "#include \"conv_priv.h\"\n", "#include \"conv_priv.h\"\nextern _Atomic int protocol_locked;\n"),
    Change(INPUT, "\t\tif (e == CONV_IN)\n\t\t\tconv_deliver(w, cn, b->m[i]);\n",
           "\t\tif (e == CONV_IN) {\n\t\t\tconv_deliver(w, cn, b->m[i]);\n\t\t\tif (b->next[i] == GROUP_END)\n\t\t\t\tcontinue;\n"
           "\t\t\tatomic_fetch_and(&cn->n.word, ~NODE_INSIDE);\n\t\t\tprotocol_locked = 0;\n"
           "\t\t\tPOINT(\"output_mid\", &cn->n.word);\n"
           "\t\t\twhile ((atomic_load(&cn->n.word) & NODE_INSIDE) != 0 || atomic_exchange(&protocol_locked, 1) != 0)\n"
           "\t\t\t\tPOINT_WAIT(\"wait for protocol\", &protocol_locked);\n"
           "\t\t\tatomic_fetch_or(&cn->n.word, NODE_INSIDE);\n\t\t}\n"),
]

CONTROLS = [
    Control("n1", "bare pointers, no re-check, slots used again at once", BARE + AT_ONCE + BARE_KICK + NO_LISTENER_GENERATION,
            ["a1", "a2", "a4", "a7", "a11"], []),
    Control("n2", "n1, and the protocol's lock over look-up and reuse, let go in the middle of output",
            BARE + AT_ONCE + BARE_KICK + NO_LISTENER_GENERATION + PROTOCOL_LOCK, ["a13"], ["a1"]),
    Control("n3", "bare pointers and the conversation's lock, no re-check", BARE + AT_ONCE + LOCK, ["a2"], []),
    Control("n4", "references, but neither grace period nor re-check", [NO_GRACE, NO_GRACE_THREADS, NO_RECHECK], ["a1", "a2", "a4", "a5", "a13"], []),
]
