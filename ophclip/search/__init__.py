"""An index over windows of video, searched by text, picture, video or vector."""
