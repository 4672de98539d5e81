"""shards.py DIR "FOLDER..." [pytest arguments]: runs the test files of folders, some at a time, each in a pytest of its own.

Most of a test's time is waiting (for a lease, a restart, a rate limit), so three files at a time use two processors well. Each pytest has its own
directory (JOBQ_TEST_DIR), PostgreSQL and Kannel. Prints one line a file, the output of those that fail, and last "PASSED FAILED" in the
file DIR/sum. Arguments that name test files choose among them; all others go to pytest.
"""
import concurrent.futures
import glob
import os
import subprocess
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SUM = os.path.join(TESTS, "run/sum.py")
AT_A_TIME = int(os.environ.get("JOBQ_TESTS_AT_A_TIME", min(4, (os.cpu_count() or 1) + 1)))
LIMIT = 600  # seconds for one file


def run(number, directory, path, options):
    """One file; (path, passed, failed, seconds, output)."""
    name = os.path.splitext(os.path.basename(path))[0]
    private = os.path.join(directory, str(number))
    os.makedirs(private, mode=0o700)
    junit = os.path.join(directory, f"{name}.xml")
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "pytest", "-q", f"--junitxml={junit}", path, *options], cwd=TESTS, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True, env={**os.environ, "JOBQ_TEST_DIR": private})
    try:
        output, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        output = process.communicate()[0] + f"\nended after {LIMIT} s\n"
    sums = subprocess.run([sys.executable, SUM, "pytest", junit], capture_output=True, text=True, check=False).stdout.split()
    passed, failed = (int(sums[0]), int(sums[1])) if len(sums) == 2 else (0, 1)
    if process.returncode not in (0, 5) and failed == 0:  # 5: no test chosen
        failed = 1
    return path, passed, failed, time.monotonic() - began, output


def main(directory, folders, arguments):
    chosen = [a for a in arguments if os.path.basename(a).startswith("test_") and " " not in a] # "test_a or test_b" is pytest's -k
    options = [a for a in arguments if a not in chosen]
    files = [path for folder in folders.split() for path in glob.glob(os.path.join(TESTS, folder, "test_*.py"))]
    files.sort(key=os.path.getsize, reverse=True)
    if chosen:
        names = {os.path.basename(c).removesuffix(".py") for c in chosen}
        files = [f for f in files if os.path.basename(f).removesuffix(".py") in names]
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        jobs = [pool.submit(run, n, directory, path, options) for n, path in enumerate(files)]
        for job in concurrent.futures.as_completed(jobs):
            path, good, bad, seconds, output = job.result()
            passed, failed = passed + good, failed + bad
            print(f"  {os.path.relpath(path, TESTS):36} {good:4} passed {bad:3} failed {seconds:5.0f} s", flush=True)
            if bad:
                print(output, flush=True)
    if passed + failed == 0:
        print(f"no test was chosen by {' '.join(arguments) or 'nothing'}", flush=True)
        failed = 1
    with open(os.path.join(directory, "sum"), "w", encoding="ascii") as f:
        f.write(f"{passed} {failed}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
