"""`python -m hpsearch`."""

from .cli import main

main()
