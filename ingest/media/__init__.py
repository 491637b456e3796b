"""Pictures and sound of a video file, in presentation seconds."""

from ingest.config import Reader
from ingest.media.container import probe
from ingest.media.decode import Scan, read_audio, scan
from ingest.media.readers import frames_at, installed_readers

__all__ = ["Reader", "Scan", "frames_at", "installed_readers", "probe", "read_audio", "scan"]
