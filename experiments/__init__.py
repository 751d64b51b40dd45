"""Commands: each reads flags, makes one library call and writes files."""
