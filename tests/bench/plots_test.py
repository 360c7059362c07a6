#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""What the plots of the benchmark read out of its rows."""
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench"))
import plots  # noqa: E402


def row(figure, value, line, verdict):
    return {"figure": figure, "ours": "", "reference": "", "value": value, "line": line, "verdict": verdict, "how": ""}


class Plots(unittest.TestCase):
    def test_distance(self):
        rows = [row("a", "65.00", "<= 130 (floor 52, fail > 200)", "PASS"), row("b", "0.50", ">= 1.0", "FAIL"),
                row("c", "-10.00", "<= 130", "PASS"), row("d", "9.00", "", "-"), row("part x", "", "", "FAIL")]
        self.assertEqual(list(plots.distances(rows)), [("a", "0.500", "PASS"), ("b", "2.000", "FAIL"), ("c", "0.000", "PASS")])

    def test_sweep(self):
        rows = [row("sweep, tcp echo over net_ring, 256 flows: cycles per packet", "500.00", "", "-"),
                row("sweep, udp echo over net_ring, 4096 flows: cycles per packet", "220.00", "", "-"),
                row("sweep, udp echo over net_ring, 256 flows: cycles per packet", "200.00", "", "-")]
        self.assertEqual(plots.swept(rows), [(256, "200.00", "500.00"), (4096, "220.00", "")])


if __name__ == "__main__":
    unittest.main()
