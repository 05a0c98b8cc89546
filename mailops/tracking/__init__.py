"""Opens and clicks of our own, where a stream asks for them: who looks at a mail, and at which of its links."""
