"""From words to sentences that are believed, clips and titles."""
