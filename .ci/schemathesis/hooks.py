"""What a schema cannot say of the bodies of POST /mine: how their fields belong together."""

import itertools
import re

import schemathesis

# Jobs end by themselves: a range has this many nonces at most, which take a
# second on the slowest machine.
NONCES = 2**20

serial = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    fields = case.body if isinstance(case.body, dict) else {}
    start, end, threshold = (str(fields.get(name)) for name in ("nonce_start", "nonce_end", "distance_threshold"))
    if not all(re.fullmatch("[0-9a-fA-F]{128}", nonce) for nonce in (start, end)) or not re.fullmatch("[0-9]+", threshold):
        return  # one of the bad requests
    start, end, threshold = int(start, 16), int(end, 16), int(threshold)
    # The last nonce is not below the first.
    fields["nonce_end"] = f"{min(start + end % NONCES, 2**512 - 1):0128x}"
    # The threshold is below 2^512. As it comes, it is next to nothing; every
    # other job gets one that half of all nonces meet.
    threshold %= 2**512
    if start % 2:
        threshold <<= 512 - threshold.bit_length()
    fields["distance_threshold"] = str(threshold)
    # Sequences are repeated, with IDs that are new. Elsewhere they may be taken.
    if case.meta.phase.name == "stateful":
        fields["job_id"] += f"#{next(serial)}"
