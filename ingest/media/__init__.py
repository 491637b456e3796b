"""Pictures and sound of a video file, in presentation seconds."""

from ingest.config import Reader
from ingest.media.decode import Scan, read_audio, scan
from ingest.media.probe import picture_seconds, probe
from ingest.media.readers import frame_blocks, frames_at, installed_readers

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
