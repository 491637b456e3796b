"""Imported first, it lets commands decode in their own process: forked attempts need no confined one, which is dear."""

from __future__ import annotations

import ingest.media
from ingest.media import confine

ingest.media.probe, ingest.media.frame_blocks = confine.probe_here, confine.frame_blocks_here
