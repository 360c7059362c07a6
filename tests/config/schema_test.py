# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""config/convd.schema.json against the parser: what one takes, the other takes.

    schema_test.py CONFIG_CHECK

Every sample and every good file is valid; every file that is broken in a way a schema can tell is
not; and at the ends of every number's range both agree.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = os.path.join(HERE, "..", "..", "config")
# Faults that a schema sees: of shape, range and word. The others are about several values, or the host.
SHAPE = re.compile(
    r"unknown key \"|is missing|must be |must not be empty|is not in \d|is not one of|is neither"
    r"|more than \d|is not a list of CPUs|lacks a prefix length|not an absolute path|has more in it"
)
# What a schema can't tell although the words of the fault are the same: numbers inside strings, options that
# only the service knows, and 2.0, which draft-07 calls an integer.
VAGUE = {"address_text", "address_length", "port_range_text", "service_options", "type_real"}
BASE = {"interfaces": [{"name": "a", "device": "net_null0", "addresses": ["10.0.0.1/8"]}]}
LISTENER = {"name": "a", "protocol": "tcp", "port": 7, "service": "echo"}


def numbers(schema, path=()):
    """(path, minimum, maximum) of every integer in the schema; '[]' in a path is an array's item."""
    for part in [schema] + schema.get("anyOf", []):
        if part.get("type") == "integer":
            yield path, part["minimum"], part["maximum"]
    for name, key in schema.get("properties", {}).items():
        yield from numbers(key, path + (name,))
    if "items" in schema:
        yield from numbers(schema["items"], path + ("[]",))


def with_value(path, value):
    config = json.loads(json.dumps(BASE))
    config["listeners"] = [dict(LISTENER)]
    at = config
    for name in path[:-1]:
        at = at[0] if name == "[]" else at.setdefault(name, {})
    at[path[-1]] = value
    return config


def refused(check, config):
    """True if the parser finds a number out of its range; None if it may not be used yet."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(config, f)
        f.flush()
        done = subprocess.run([check, f.name], capture_output=True, text=True, timeout=30)
    if "not built yet" in done.stderr:
        return None
    return " is not in " in done.stderr


def main(check):
    with open(os.path.join(CONFIG, "convd.schema.json")) as f:
        schema = json.load(f)
    jsonschema.Draft7Validator.check_schema(schema)
    valid = jsonschema.Draft7Validator(schema).is_valid
    wrong, seen = [], {"good": 0, "broken": 0, "ends": 0}

    for path in sorted(glob.glob(os.path.join(CONFIG, "*.json")) + glob.glob(os.path.join(HERE, "good_*.json"))):
        if path.endswith("schema.json"):
            continue
        seen["good"] += 1
        with open(path) as f:
            if not valid(json.load(f)):
                wrong.append(f"{path}: is good, and the schema refuses it")
    for path in sorted(glob.glob(os.path.join(HERE, "*.expect"))):
        name = os.path.basename(path)[: -len(".expect")]
        with open(path) as f:
            faults = f.read()
        if name.startswith("syntax_") or name in VAGUE or not SHAPE.search(faults):
            continue
        seen["broken"] += 1
        with open(path[: -len("expect")] + "json") as f:
            if valid(json.load(f)):
                wrong.append(f"{name}: is broken, and the schema takes it: {faults.strip()}")
    for path, least, most in numbers(schema):
        for value in (least - 1, least, most, most + 1):
            config = with_value(path, value)
            seen["ends"] += 1
            if valid(config) == refused(check, config):
                wrong.append(f"{'.'.join(path)}: {value}: parser and schema disagree")

    print("\n".join(wrong + [str(seen)]))
    return 1 if wrong or seen["good"] < 6 or seen["broken"] < 45 or seen["ends"] < 50 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
