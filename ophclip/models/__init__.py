"""The dual encoder: towers of open_clip, timm and Hugging Face, and the bundle that carries them elsewhere."""
