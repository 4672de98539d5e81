"""sum.py unit BUILD | pytest FILE.xml: prints "PASSED FAILED" for one step of tests/run.sh.

unit: the automake results below BUILD; a check program counts each of its tests, any other program one. pytest: a junit file; a skipped
test is a test that did not show anything, so it counts as failed.
"""
import glob
import os
import re
import sys
import xml.etree.ElementTree as tree


def unit(build):
    passed = failed = 0
    for trs in glob.glob(os.path.join(build, "**/*.trs"), recursive=True):
        with open(trs, encoding="utf-8") as f:
            good = ":global-test-result: PASS" in f.read()
        with open(trs[:-4] + ".log", encoding="utf-8", errors="replace") as f:
            checks = re.findall(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", f.read(), re.M)
        bad = sum(int(c[1]) + int(c[2]) for c in checks)
        total = sum(int(c[0]) for c in checks) or 1
        if not good:
            bad = max(bad, 1)
        passed, failed = passed + total - bad, failed + bad
    return passed, failed


def pytest(path):
    passed = failed = 0
    for suite in tree.parse(path).getroot().iter("testsuite"):
        total, bad = int(suite.get("tests")), sum(int(suite.get(k)) for k in ("failures", "errors", "skipped"))
        passed, failed = passed + max(total - bad, 0), failed + bad
    return passed, failed


print(*{"unit": unit, "pytest": pytest}[sys.argv[1]](sys.argv[2]))
