"""mergekit-yaml, which then writes the seconds of the merge itself and its peak memory to standard error, as JSON."""
import json
import sys
import time

from mergekit.scripts.run_yaml import main


def peak_bytes():
    """Most resident memory of this program (Linux)."""
    with open("/proc/self/status", encoding="ascii") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


start = time.perf_counter()
main.main(args=sys.argv[1:], standalone_mode=False)
seconds = time.perf_counter() - start
print("\n" + json.dumps({"seconds": seconds, "peakBytes": peak_bytes()}), file=sys.stderr)
