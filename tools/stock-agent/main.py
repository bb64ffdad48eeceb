"""Tries an unmodified amazon-ecs-agent against Roadstead: `tools/stock-agent.sh`. See docs/stock-agent.md."""

import argparse
import sys
import time
import traceback

from checks import CHECKS
from lab import Lab, Skipped


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--roadstead", required=True)
    parser.add_argument("--agent", required=True)
    parser.add_argument("--docker", help="a folder that Docker's packages are unpacked into")
    parser.add_argument("--top", required=True)
    parser.add_argument("-k", "--only", default="", help="only the checks with this in their names, and the first")
    args = parser.parse_args()
    lab = Lab(args.top, args.roadstead, args.agent, args.docker)
    passed = failed = skipped = 0
    try:
        lab.start()
        for one in [one for one in CHECKS if one is CHECKS[0] or args.only in one.__name__]:
            begin = time.monotonic()
            try:
                one(lab)
            except Skipped as why:
                skipped += 1
                print(f"skip {one.__name__}: {why}", flush=True)
            except Exception:
                failed += 1
                print(f"FAIL {one.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
                traceback.print_exc(file=sys.stdout)
                if one is CHECKS[0]:
                    break
            else:
                passed += 1
                print(f"ok   {one.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
        lab.complaints()
    finally:
        lab.end()
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


main()
