"""The routes, by what they are about; `ophclip/serving/messages.py` says what they take and give."""
