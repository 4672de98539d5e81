"""bench.py BUILD [--quick] [--only NAME,...]: what jobqd can do, beside what a minimal C program can do on the same table.

Run by tests/bench/run.sh (`make bench`) as an ordinary user in a private directory. Makes its own PostgreSQL with fsync on. Each figure stands
beside its conditions and, where there is a reference, as a ratio from the same run: interleaved pairs, the median of the ratios with the
least and the greatest. --quick makes short runs of one pair, to see that the bench itself works; its figures mean nothing.
"""
import argparse
import os
import sys

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), os.path.dirname(os.path.abspath(__file__))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="drain,pickup,idle,pinned,recovery,tune,limits,limits_nodes,big_tenant,fairness,drain_tenants,queueing,imports,import_memory,programs")
    args = parser.parse_args()
    os.environ["JOBQ_BUILD"] = args.build
    import measures  # after JOBQ_BUILD is known
    import measures_fair
    import measures_limits
    from stage import Stage
    stage = Stage(args.build, args.quick)
    try:
        stage.conditions()
        for name in args.only.split(","):
            next(getattr(m, name) for m in (measures, measures_limits, measures_fair) if hasattr(m, name))(stage)
    finally:
        stage.close()


if __name__ == "__main__":
    main()
