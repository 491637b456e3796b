"""Vectors, ids and attributes over FAISS; the knowledge bank of silent videos. Knows nothing of models."""
