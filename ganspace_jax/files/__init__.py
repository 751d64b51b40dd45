"""Reads and writes files: checkpoints, run states, pictures, plots, tables, and other
programs' files without executing them.
"""
