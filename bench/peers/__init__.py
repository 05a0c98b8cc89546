"""The peers, each with its own way of sending; they run in a virtual environment of their own."""
