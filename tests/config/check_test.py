# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""convd --check on every broken file of this folder: exit 2, and on stderr exactly what NAME.expect says.

    check_test.py CONVD
"""
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def check(convd, file):
    """What convd says of a file: exit code, stdout, stderr."""
    done = subprocess.run(
        [convd, "--config", file, "--check"], cwd=HERE, capture_output=True, text=True, timeout=30
    )
    return done.returncode, done.stdout, done.stderr


def main(convd):
    wrong = seen = 0
    for expect in sorted(glob.glob(os.path.join(HERE, "*.expect"))):
        with open(expect) as f:
            want = (2, "", f.read())
        got = check(convd, os.path.basename(expect)[: -len("expect")] + "json")
        seen += 1
        if got != want:
            wrong += 1
            print(f"{expect}: exit {got[0]}, {got[1]}{got[2]}.. and should say\n{want[2]}")
    # A file that is not there, and one that any host can serve.
    for name in ("absent.json", "good_minimal.json"):
        code, _, err = check(convd, name)
        seen += 1
        if name == "absent.json":
            ok = (code, err) == (2, "absent.json: can't be read: No such file or directory\n")
        else:
            ok = code == 0
        if not ok:
            wrong += 1
            print(f"{name}: exit {code}, {err}")
    print(f"{seen} files, {wrong} wrong")
    return 1 if wrong or seen < 47 else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
