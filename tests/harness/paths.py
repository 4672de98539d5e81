"""Where the programs under test are: JOBQ_BUILD is the build directory, JOBQ_TEST_DIR the run's private directory.

tests/run.sh sets both. The directory's path is short, since a socket's path has 107 bytes.
"""
import os

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("JOBQ_BUILD", "")
JOBQD = os.path.join(BUILD, "jobqd")
JOBQCTL = os.path.join(BUILD, "jobqctl")


def problem():
    """Why the tests cannot run here, or None."""
    if os.geteuid() == 0:
        return "these tests run as an ordinary user (PostgreSQL refuses root): sh tests/run.sh does all that"
    for program in (JOBQD, JOBQCTL):
        if not os.access(program, os.X_OK):
            return f"no {program}: set JOBQ_BUILD to a build directory, or use sh tests/run.sh"
    return None
