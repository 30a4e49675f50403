"""The process of a command ends with its status, whatever threads of libraries still do."""

import subprocess
import sys

import pytest

# A thread of pyarrow reads a file of Python's, and needs the interpreter again and again.
READING = """
import io, sys, time
import pyarrow.csv

class Endless(io.RawIOBase):
    calls = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        self.calls += 1
        if self.calls > 3:
            for _ in range(10**6):
                time.sleep(1e-4)
        line = b"a,b\\n" if self.calls == 1 else b"1,2\\n"
        buffer[:] = (line + b"1,2\\n" * (len(buffer) // 4))[:len(buffer)]
        return len(buffer)

endless = Endless()
stream = pyarrow.csv.open_csv(endless, pyarrow.csv.ReadOptions(block_size=64))
stream.read_next_batch()
while endless.calls <= 3:
    time.sleep(0.01)
"""


@pytest.mark.parametrize(("words", "status"), [(["--version"], 0), (["info", "nothing.safetensors"], 2), (["odd"], 2)])
def test_a_thread_that_still_reads_aborts_nothing(words, status, tmp_path):
    script = f"{READING}\nfrom pushforward.cli.main import run\nsys.argv = ['pushforward', *{words}]\nrun()"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert "terminate called" not in done.stderr and (done.stdout if status == 0 else done.stderr)


def test_what_was_registered_for_the_exit_is_done_first(tmp_path):
    script = (
        "import atexit, sys\nfrom pushforward.cli.app import app\nfrom pushforward.cli.main import run\n"
        "@app.command()\ndef register():\n    atexit.register(print, 'done')\n"
        "sys.argv = ['pushforward', 'register']\nrun()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
