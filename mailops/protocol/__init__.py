"""What the RFCs say about mail, in pure Python: no Django, no I/O, no clock."""
