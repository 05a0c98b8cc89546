"""Breaks mailops on purpose and asks the receiver's log what became of the mail: `python -m bench.crash`."""
