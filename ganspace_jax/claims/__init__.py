"""Answers claims of the papers with numbers, intervals and pictures: one file per
claim.
"""
