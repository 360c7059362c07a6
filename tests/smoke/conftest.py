# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Labs for the tests: one convd for each way to run it, shared by the tests of that way, each of which must
leave it at rest as it was; and `make`, for tests that need a convd of their own."""
import os
import shutil
import signal

import pytest

import lab as labs

WAYS = [(device, spread, workers)
        for device in ("tap", "af_packet") for spread in ("auto", "packet") for workers in (1, 4)]


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: looks at times or shares, so it has the machine to itself")


def pytest_collection_modifyitems(items):
    """Real programs that hang must not hang the suite; without root nothing here can run."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root, and ip(8)"))


@pytest.fixture(scope="session", params=WAYS, ids=["-".join(map(str, way)) for way in WAYS])
def shared(request):
    device, spread, workers = request.param
    lab = labs.Lab(device, {"workers": {"count": workers, "spread": spread}})
    try:
        lab.start()
        yield lab
        lab.settle()
        assert lab.stop() == 0, lab.log()
    finally:
        lab.close()


@pytest.fixture
def lab(shared):
    """The convd of one way to run it: as the test got it, so it must leave it."""
    assert shared.process.poll() is None, f"convd is gone: {shared.log()}"
    yield shared
    assert shared.process.poll() is None, f"convd is gone: {shared.log()}"
    shared.settle()


@pytest.fixture
def make():
    """Make labs; each is taken away at the end. Those that still run must be at rest and end well."""
    made = []

    def build(device="tap", config=None, start=True):
        one = labs.Lab(device, config)
        made.append(one)
        return one.start() if start else one

    try:
        yield build
        for one in made:
            if one.process is not None and one.baseline is not None:
                one.settle()
                assert one.stop(signal.SIGTERM) == 0, one.log()
    finally:
        for one in made:
            one.close()


@pytest.fixture(params=["v4", "v6"])
def version(request):
    return request.param


@pytest.fixture
def us(version):
    """convd's address."""
    return labs.US[version]
