"""What a run keeps on disk."""

from __future__ import annotations

#: Trainer states of a run that are kept: the newest, and one to fall back on.
STATES_KEPT = 2
#: Bytes of a parameter by backend, in a checkpoint and in a state: weights and Adam's two moments, in OpenRLHF also the
#: weights in bfloat16.
CHECKPOINT_BYTES = {"reference": 4, "openrlhf": 2, "trl": 4}
STATE_BYTES = {"reference": 12, "openrlhf": 14, "trl": 12}
