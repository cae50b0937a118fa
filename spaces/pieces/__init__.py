"""What the ready spaces share. A piece is a plain function that returns declarations."""
