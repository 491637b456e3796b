"""Pictures and sound of a video file, in presentation seconds.

What is asked for here one file at a time is decoded in a confined process; `scan` and `read_audio` decode in their own,
which is a worker of `ophclip ingest`.
"""

from ingest.config import Reader
from ingest.media.confine import frame_blocks, frames_at, picture_seconds, probe
from ingest.media.decode import Scan, read_audio, scan
from ingest.media.readers import installed_readers

__all__ = [
    "Reader",
    "Scan",
    "frame_blocks",
    "frames_at",
    "installed_readers",
    "picture_seconds",
    "probe",
    "read_audio",
    "scan",
]
