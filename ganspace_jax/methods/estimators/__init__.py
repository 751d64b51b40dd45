"""Estimates the covariance of a layer, and its leading components: one file per
estimator.
"""
