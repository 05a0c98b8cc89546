"""What each kind of record must fulfil; every check asks DNS through a function it is given."""
