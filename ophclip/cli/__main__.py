"""`python -m ophclip.cli` is the `ophclip` command."""

from ophclip.cli import main

main()
