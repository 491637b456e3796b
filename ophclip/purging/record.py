"""The signed-off record of a purge: hashes and counts, nothing of what was purged."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from ophclip.purging.plan import Plan

_COST = 2**14
"""Of the hash of an id, in memory and time: ids are short and could be guessed."""


def facts_of(plan: Plan, fingerprint: str) -> dict[str, Any]:
    """What the record says.

    Args:
        plan: what was done.
        fingerprint: of the corpus after it; empty without shards.
    """
    facts = {
        "purge": plan.purge,
        "when": plan.signed.at,
        "signed_off_by": plan.signed.by,
        "reason": plan.signed.reason,
        "video_id_scrypt": hashed_id(plan.video_id, plan.purge),
        "content_sha256": list(plan.contents),
        "removed": plan.removed,
        "corpus_before": plan.held.fingerprint if plan.held else "",
        "corpus_after": fingerprint,
        "seen_by": [asdict(one) for one in plan.seen],
        "may_have_been_seen_by": list(plan.silent),
        "results_that_contain_it": list(plan.results),
        "files_left_to_their_owner": len(plan.held.left) if plan.held else 0,
    }
    return dict(json.loads(_without_names(json.dumps(facts), plan)))


def hashed_id(video_id: str, purge: str) -> str:
    """Hash of an id, salted by the name of the purge: who knows the id can see that it is meant."""
    return hashlib.scrypt(video_id.encode(), salt=purge.encode(), n=_COST, r=8, p=1, dklen=32).hex()


def _without_names(text: str, plan: Plan) -> str:
    """Folders may be called like the video."""
    for video_id in sorted(plan.video_ids, key=len, reverse=True):
        text = text.replace(video_id, "purged")
    return text
