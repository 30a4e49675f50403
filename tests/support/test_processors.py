"""How many processors may be used: affinity, and quotas of control groups of both versions, as containers show them."""

import os

import pytest

from pushforward.support import processors


def write(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


V1 = {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n"}
CASES = {
    "version 2, in a container": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"},
        1.5,
    ),
    "version 2, no limit": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
    "version 2, the group above has less": (
        {
            "proc/self/cgroup": "0::/user/job\n",
            "sys/fs/cgroup/user/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/user/job/cpu.max": "400000 100000\n",
        },
        2.0,
    ),
    "version 1": (
        {
            "proc/self/cgroup": "11:memory:/x\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n",
            **V1,
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
        },
        3.0,
    ),
    "version 1, in a container, whose path is that outside": (
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
        0.5,
    ),
    "version 1, no limit": ({"proc/self/cgroup": "4:cpu,cpuacct:/\n", **V1}, None),
    "version 1, one name": (
        {
            "proc/self/cgroup": "4:cpuacct,cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        1.0,
    ),
    "no control groups": ({}, None),
    "what cannot be read": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "what\n"}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_quotas(tmp_path, case):
    files, expected = CASES[case]
    found = processors.quota(write(tmp_path, files))
    assert found == (processors.ANY_NUMBER if expected is None else expected)


@pytest.mark.parametrize(("shown", "quota", "usable"), [(8, 2.5, 2), (8, 0.5, 1), (2, 4.0, 2), (1, 1e9, 1)])
def test_whole_processors_that_both_allow(monkeypatch, shown, quota, usable):
    monkeypatch.setattr(processors, "processors_of_affinity", lambda: shown)
    monkeypatch.setattr(processors, "quota", lambda: quota)
    assert processors.usable_processors() == usable


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="The system has no affinity.")
def test_affinity_counts_as_it_is_now():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert processors.usable_processors() == 1
    finally:
        os.sched_setaffinity(0, before)
