#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Every atomic of lib/ and app/: what is declared, and each operation on it with its memory order, read from the source.

    atomics.py list     print them
    atomics.py check    docs/memory-order.md says the same, of all of them; no operation leaves its order to the default
    atomics.py bites    .. and notices a row that is missing, and an order that was changed

tests/litmus takes the orders that it explores from here, so that they are the code's.
"""
import collections
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = "docs/memory-order.md"

CALL = re.compile(r"\batomic_(load|store|exchange|compare_exchange_strong|compare_exchange_weak|fetch_(?:add|sub|and|or|xor)|"
                  r"thread_fence|signal_fence|init)(_explicit)?\s*\(")
FUNCTION = re.compile(r"^(\w+)\(", re.M)  # by our style a definition's name begins its line
DECLARED = re.compile(r"_Atomic\s+(?:u?int\d+_t|bool|unsigned)\s+([^;()*]+?)\s*(?:__rte_cache_aligned)?\s*;")
KIND = {"compare_exchange_strong": "cas", "compare_exchange_weak": "cas", "thread_fence": "fence"}

Op = collections.namedtuple("Op", "path line function object kind orders")


def sources(read=None):
    """path -> text, comments blanked so that lines stay; read: another text for some paths"""
    texts = {}
    for path in sorted(glob.glob(os.path.join(HERE, "lib", "*", "*.[ch]")) + glob.glob(os.path.join(HERE, "app", "*.[ch]"))):
        name = os.path.relpath(path, HERE)
        with open(path) as f:
            text = (read or {}).get(name) or f.read()
        texts[name] = re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)
    return texts


def declared(texts):
    """Every atomic object, as struct.field -> path."""
    found = {}
    for path, text in texts.items():
        for m in DECLARED.finditer(text):
            before = text[:m.start()]
            depth, at = 0, len(before)
            while at > 0 and depth >= 0:  # back to the brace that is open here
                at -= 1
                depth += {"}": 1, "{": -1}.get(before[at], 0)
            struct = re.search(r"struct\s+(\w+)\s*$", before[:at])
            for name in m.group(1).split(","):
                found[(struct.group(1) if struct else "") + "." + name.split("[")[0].strip()] = path
    return found


def arguments(text, at):
    """What stands between the bracket before `at` and its partner, by comma."""
    depth, start, parts = 0, at, []
    while depth >= 0:
        c = text[at]
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(c, 0)
        if depth < 0 or (c == "," and depth == 0):
            parts.append(" ".join(text[start:at].split()))
            start = at + 1
        at += 1
    return parts


def field_of(expression):
    """&cn->n.word -> word; &ip->idents[i] -> idents; the name of a pointer itself if it is one"""
    return re.split(r"->|\.", re.sub(r"\[[^\[\]]*\]", "", expression))[-1].strip("&() ")


def operations(texts, objects):
    """All operations, and the faults met: an object that can't be told, an order left to the default."""
    by_field = collections.defaultdict(list)
    for o in objects:
        by_field[o.split(".")[1]].append(o)
    ops, faults = [], []
    for path, text in texts.items():
        starts = [(m.start(), m.group(1)) for m in FUNCTION.finditer(text)]
        for m in CALL.finditer(text):
            args = arguments(text.replace("\\", " "), m.end())
            line = text.count("\n", 0, m.start()) + 1
            function = ([""] + [name for at, name in starts if at < m.start()])[-1]
            kind = KIND.get(m.group(1), m.group(1).replace("fetch_", ""))
            if kind == "init":
                continue  # before anybody else knows the object
            orders = "/".join(a.replace("memory_order_", "") for a in args if a.startswith("memory_order_"))
            if not m.group(2) and kind != "fence" and not at_rest(text, m.start(), function):
                faults.append(f"{path}:{line}: {m.group(0).strip('(')} leaves its order to the default")
            where = f"{path}:{function}"
            object_ = "fence" if kind == "fence" else of(by_field, path, where, field_of(args[0]), faults, line)
            if m.group(2) or kind == "fence":
                ops.append(Op(path, line, function, object_, kind, orders))
    return ops, faults


def at_rest(text, at, function):
    """Assertions, and conv_check, which runs when nobody else does."""
    return function.startswith("conv_check") or re.match(r"\s*assert\s*\(", text[text.rfind("\n", 0, at) + 1:]) is not None


# Which object is meant where several have the name, or a pointer leads there: the first that "FILE:FUNCTION" begins with.
MEANT = {
    "word": (("lib/ip/", "neigh.word"), ("", "node.word")),
    "gen": (("lib/ip/neigh.c", "neigh.gen"), ("lib/ip/ip_priv.h:neigh", "neigh.gen"), ("lib/ip/", "ip.gen"), ("", "listener.gen")),
    "addr": (("lib/ip/neigh.c", "neigh.addr"), ("lib/ip/", "ip_router.addr")),
    "owner": (("lib/conv/", "conv_node.owner"), ("lib/stack/", "stack_seat.owner")),
    "up": (("lib/ip/", "ip_ifc.up"), ("lib/stack/", "stack_thread.up")),
    "asleep": (("lib/conv/", "reclaim_urcu.asleep"), ("lib/stack/", "stack_thread.asleep")),
    "stop": (("lib/conv/", "reclaim_urcu.stop"), ("app/", "daemon_worker.stop")),
    "n": (("lib/conv/listener.h", "listener_cell.convs"),),
    "field": (("lib/conv/listener.h", "listener_cell.accepted"),),  # LISTENER_ADD: any of its cells
    "cell": (("app/", "listener_cell.accepted"),),
    "c": (("lib/ip/ip_priv.h", "ip_worker.stat"),),  # ip_add: any of the counters
}


def of(by_field, path, where, field, faults, line):
    for begins, object_ in MEANT.get(field, ()):
        if where.startswith(begins):
            return object_
    mine = by_field.get(field, [])
    if len(mine) == 1:
        return mine[0]
    faults.append(f"{path}:{line}: {where}: which object is '{field}'? {mine}")
    return "?" + field


def code(read=None):
    """@return the objects, with their files; the operations; the faults"""
    texts = sources(read)
    objects = declared(texts)
    ops, faults = operations(texts, objects)
    return objects, ops, faults


def unneeded():
    """Orders that are listed as stronger than any idiom needs."""
    path = os.path.join(HERE, TABLE)
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return re.findall(r"^- `([^`]+ -> [^`]+)`", f.read(), re.M)


def rows():
    """The table: [objects, operations], a row without an object going on with the one before."""
    found = []
    with open(os.path.join(HERE, TABLE)) as f:
        for line in f:
            cells = [c.strip() for c in line.strip().strip("|").split(" | ")]
            if not line.startswith("|") or len(cells) < 3 or cells[0] in ("Object", "---"):
                continue
            names, ops = re.findall(r"`([^`]+)`", cells[0]), re.findall(r"`([^`]+)`", cells[1])
            if names:
                found.append((names, set(ops)))
            elif found:
                found[-1][1].update(ops)
    return found


def check(read=None):
    """@return the faults"""
    objects, ops, faults = code(read)
    uses = collections.defaultdict(set)
    for op in ops:
        uses["fence in " + op.function if op.kind == "fence" else op.object].add(f"{op.kind} {op.orders}")
    exist, named = set(objects) | {o for o in uses if o.startswith("fence in ")}, []
    for names, listed in rows():
        named += names
        faults += [f"{TABLE}: there is no {n}" for n in names if n not in exist]
        used = set().union(*(uses[n] for n in names))
        faults += [f"{TABLE}: {', '.join(names)}: the code has no '{o}'" for o in sorted(listed - used)]
        faults += [f"{TABLE}: {', '.join(names)}: the code has '{o}', too" for o in sorted(used - listed)]
    faults += [f"{TABLE}: {o} ({objects.get(o, '')}) has no row" for o in sorted(exist - set(named))]
    faults += [f"{TABLE}: {o} has two rows" for o, n in collections.Counter(named).items() if n > 1]
    return faults


def bites():
    """Changes of the source that check must notice. @return those that it did not"""
    changes = [("lib/conv/enter.c", "memory_order_acq_rel", "memory_order_seq_cst", "an order"),
               ("lib/conv/conv.h", "_Atomic uint8_t owner;", "_Atomic uint8_t owner, another;", "an object"),
               ("lib/stack/seat.c", "atomic_thread_fence(memory_order_seq_cst);", "", "a fence that has gone"),
               ("lib/ip/neigh.c", "atomic_store_explicit(&e->word, word, memory_order_release)", "atomic_store(&e->word, word)", "a default")]
    missed = []
    for path, old, new, what in changes:
        with open(os.path.join(HERE, path)) as f:
            text = f.read()
        if old not in text or not check({path: text.replace(old, new)}):
            missed.append(f"{path}: {what} goes unnoticed")
    return missed


def show():
    objects, ops, _ = code()
    for o in sorted(objects):
        print(f"{o} ({objects[o]})")
        for op in ops:
            if op.object == o:
                print(f"    {op.path}:{op.line}: {op.function}: {op.kind} {op.orders}")
    return []


def main():
    run = {"list": show, "check": check, "bites": bites}.get(sys.argv[1] if len(sys.argv) == 2 else "")
    if run is None:
        sys.exit(__doc__)
    faults = run()
    print("\n".join(faults + [f"{len(faults)} faults"]))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
