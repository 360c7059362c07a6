# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""A VLAN interface for kernels that have none: vlan.py INTERFACE TAP ID makes TAP and says so; what is sent on it leaves
INTERFACE with the tag (IEEE 802.1Q), and what comes in with the tag arrives on it without."""
import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 0x10
PACKET_OUTGOING, ETH_P_ALL, TPID = 4, 3, 0x8100

interface, name, vid = sys.argv[1], sys.argv[2], int(sys.argv[3])
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
port.bind((interface, ETH_P_ALL))
port.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
print("ready", flush=True)


def tag_of(ancillary):
    """The tag that the kernel has taken out of the frame; None: there was none."""
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
            return tci & 0xFFF if status & TP_STATUS_VLAN_VALID else None
    return None


while True:
    for fd in select.select([tap, port], [], [])[0]:
        if fd == tap:
            frame = os.read(tap, 65536)
            try:
                port.send(frame[:12] + struct.pack("!HH", TPID, vid) + frame[12:])
            except OSError:
                pass  # the port's queue is full, or it is down: lost, as on a wire
        else:
            frame, ancillary, _, (_, _, direction, _, _) = port.recvmsg(65536, 256)
            if direction != PACKET_OUTGOING and tag_of(ancillary) == vid:
                os.write(tap, frame)
