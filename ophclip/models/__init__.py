"""The dual encoder: towers of open_clip, timm and Hugging Face transformers, and the bundle that carries it elsewhere."""
