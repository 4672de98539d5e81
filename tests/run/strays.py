"""strays.py DIR: lists the living processes that belong to a test run's private directory, and ends them (kill -9, by pid).

Run by tests/run.sh when everything should be over: one line a process is one too many.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import procs  # noqa: E402

for stray in procs.find(sys.argv[1]):
    print(procs.describe(stray))
procs.kill_all(sys.argv[1])
